import { parquetReadObjects } from 'hyparquet';
import { describe, expect, test } from 'vitest';
import { metricsColumns, metricsCsv, metricsParquet } from './metrics-table.js';

const runs = [
  {
    run: 'runs/a',
    metrics: [
      { step: 1, epoch: 0.5, loss: 2.25, note: 'x,"y"' },
      { step: 2, epoch: 1, loss: null },
    ],
  },
  { run: 'runs/b', metrics: [{ step: 1, epoch: 1, certifiedAccuracy: 0.125, ok: true }] },
];

describe('a table of metrics', () => {
  test('has a row for each record and a column for each name; what is missing is empty', () => {
    expect(metricsCsv(runs)).toBe(
      'run,step,epoch,loss,note,certifiedAccuracy,ok\n' +
        'runs/a,1,0.5,2.25,"x,""y""",,\n' +
        'runs/a,2,1,,,,\n' +
        'runs/b,1,1,,,0.125,true\n',
    );
    expect(metricsCsv([])).toBe('run\n');
  });

  test('as Parquet is read back value by value by another reader', async () => {
    const file = await metricsParquet(runs);
    const rows = await parquetReadObjects({ file: file.buffer as ArrayBuffer });
    const columns = metricsColumns(runs);
    expect(rows).toHaveLength(3);
    for (const { name, values } of columns)
      expect(rows.map((row) => (row as Record<string, unknown>)[name] ?? null)).toEqual([...values]);
  });
});
