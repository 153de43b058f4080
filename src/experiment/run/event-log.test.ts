import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resolveSettings } from '../settings/resolve-settings.js';
import { hyperparametersOf, openEventLog } from './event-log.js';
import type { MetricsRecord } from './metrics.js';
import { createRun } from './run-folder.js';

describe('the event file of a run', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tautnet-events-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const records: MetricsRecord[] = [1, 2, 3].map((step) => ({
    step,
    epoch: step,
    loss: 1 / step,
    seconds: step,
  }));

  test('is the same whether a run went through or went on: no step is there twice', async () => {
    const settings = resolveSettings({ out: join(folder, 'run') });
    const run = await createRun(settings.out, settings);
    await run.release();
    const through = openEventLog(run.paths, settings, []);
    for (const record of records) through.write(record);
    through.close();
    const whole = await readFile(run.paths.events);
    const resumed = openEventLog(run.paths, settings, records.slice(0, 2));
    resumed.write(records[2] as MetricsRecord);
    resumed.close();
    expect(await readFile(run.paths.events)).toEqual(whole);
  });

  test('tells settings that say what is computed, not where', () => {
    const names = Object.keys(hyperparametersOf(resolveSettings({ threads: 3, smoothing: 'rgs' })));
    expect(names).toEqual(expect.arrayContaining(['dataset', 'epsilon', 'smoothing', 'sigma', 'seed']));
    expect(names.filter((name) => ['threads', 'out', 'device', 'memory'].includes(name))).toEqual([]);
  });

  test('in a folder that is not there is an error of one line', () => {
    const paths = { events: join(folder, 'none', 'e'), config: join(folder, 'none', 'config.yaml') };
    expect(() => openEventLog(paths, resolveSettings({}), [])).toThrow(/^cannot read .*none.e: no such file/);
  });
});
