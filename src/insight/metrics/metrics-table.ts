/** Metrics of runs as one table, a row for each record: CSV, and Parquet for data frames. */
import type { MetricsRecord } from '../../experiment/run/metrics.js';
import { csvText } from '../figure/csv.js';

export interface NamedMetrics {
  readonly run: string;
  readonly metrics: readonly MetricsRecord[];
}

type Cell = number | string | boolean | null;

interface Column {
  readonly name: string;
  readonly values: readonly Cell[];
}

/** Columns in the order in which they first appear, `run` first; what a record has not is null. */
export function metricsColumns(runs: readonly NamedMetrics[]): Column[] {
  const records = runs.flatMap(({ metrics }) => metrics);
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))].filter(
    (name) => name !== 'run',
  );
  return [
    { name: 'run', values: runs.flatMap(({ run, metrics }) => metrics.map(() => run)) },
    ...names.map((name) => ({ name, values: records.map((record) => record[name] ?? null) })),
  ];
}

export function metricsCsv(runs: readonly NamedMetrics[]): string {
  const columns = metricsColumns(runs);
  const rows = columns[0]?.values.map((_, i) => columns.map(({ values }) => values[i])) ?? [];
  return csvText([columns.map(({ name }) => name), ...rows]);
}

/** The Parquet type that holds all values of a column. */
function typeOf({ name, values }: Column): 'STRING' | 'DOUBLE' | 'BOOLEAN' | 'INT32' {
  const known = values.filter((value) => value !== null);
  if (name === 'step') return 'INT32';
  if (known.every((value) => typeof value === 'number')) return 'DOUBLE';
  return known.every((value) => typeof value === 'boolean') ? 'BOOLEAN' : 'STRING';
}

export async function metricsParquet(runs: readonly NamedMetrics[]): Promise<Uint8Array> {
  // Loaded here: no other command writes Parquet.
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const columnData = metricsColumns(runs).map((column) => {
    const type = typeOf(column);
    const data = column.values.map((value) => (type === 'STRING' && value !== null ? String(value) : value));
    return { name: column.name, data, type, nullable: true };
  });
  return new Uint8Array(parquetWriteBuffer({ columnData }));
}
