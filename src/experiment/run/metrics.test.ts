import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type MetricsRecord, openMetrics, readMetrics } from './metrics.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-metrics-'));
  path = join(folder, 'metrics.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

const record = (step: number): MetricsRecord => ({ step, epoch: step / 10, loss: 1 / (1 + step) });
const writeAll = (steps: readonly number[], upToStep?: number): void => {
  const writer = openMetrics(path, upToStep);
  for (const step of steps) writer.write(record(step));
  writer.close();
};
const steps = async () => (await readMetrics(path)).map(({ step }) => step);

describe('metrics', () => {
  test('are read as they were written, numbers exactly', async () => {
    writeAll([0, 1, 2]);
    expect(await readMetrics(path)).toEqual([record(0), record(1), record(2)]);
  });

  test('are in the file as soon as a line is written', async () => {
    const writer = openMetrics(path);
    writer.write(record(1));
    expect(await readFile(path, 'utf8')).toBe(`${JSON.stringify(record(1))}\n`);
    writer.close();
  });

  test('resumed from any checkpoint, and torn anywhere after it, hold every step once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        fc.nat(30),
        fc.nat(60),
        async (written, checkpoint, torn) => {
          const resumed = Math.min(checkpoint, written);
          await rm(path, { force: true });
          writeAll(Array.from({ length: written }, (_, i) => i + 1));
          await appendFile(path, JSON.stringify(record(written + 1)).slice(0, torn));
          writeAll(
            Array.from({ length: written + 5 - resumed }, (_, i) => resumed + i + 1),
            resumed,
          );
          expect(await steps()).toEqual(Array.from({ length: written + 5 }, (_, i) => i + 1));
        },
      ),
      { numRuns: 30 },
    );
  });

  test('a last line that is there without its content is passed over and removed', async () => {
    writeAll([1, 2]);
    await appendFile(path, `${'\0'.repeat(20)}\n`);
    expect(await steps()).toEqual([1, 2]);
    writeAll([3], 2);
    expect(await steps()).toEqual([1, 2, 3]);
  });

  test('a broken line in the middle is an error that names it', async () => {
    await writeFile(path, `${JSON.stringify(record(1))}\nnonsense\n${JSON.stringify(record(2))}\n`);
    await expect(readMetrics(path)).rejects.toThrow(
      /metrics\.jsonl, line 2: expected a JSON object with a step, got "nonsense"/,
    );
    expect(() => openMetrics(path)).toThrow('line 2');
  });

  test('numbers that JSON has not become null', async () => {
    const writer = openMetrics(path);
    writer.write({ step: 1, epoch: 0, loss: Number.NaN });
    writer.close();
    expect(await readMetrics(path)).toEqual([{ step: 1, epoch: 0, loss: null }]);
  });

  test('a run without metrics has none; a folder that is missing is one line', async () => {
    expect(await readMetrics(path)).toEqual([]);
    expect(() => openMetrics(join(folder, 'missing', 'metrics.jsonl'))).toThrow(
      /^cannot open .*missing.metrics\.jsonl: no such file or folder/,
    );
  });
});
