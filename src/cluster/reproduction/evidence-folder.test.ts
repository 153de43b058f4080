import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SweepDefinition } from '../definition.js';
import { createSweepFolder, writeBegun, writeEnd } from '../sweep-folder.js';
import type { TrialResult } from '../trial.js';
import type { Experiment } from './claims.js';
import { ranOptions } from './command.js';
import { ASSUMED, reproductionCost } from './cost.js';
import { epochsInTime, equalTimeSweep, slowestRow } from './equal-time.js';
import { equalTimePath, finalPath, readEvidence, tuningPath } from './evidence-folder.js';
import { experimentsFor } from './experiments.js';
import { finalSweep, rowTrials, tuningSweep } from './sweeps.js';

let out: string;
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'tautnet-evidence-'));
});
afterEach(() => rm(out, { recursive: true, force: true }));

const MINUTES: Readonly<Record<string, number>> = { ibp: 1, 'crown-ibp': 3, crown: 4 };
const result = (row: string, images: number): TrialResult => ({
  ...{ natural: 0.9, certified: 0.5, adversarial: 0.6, images, losses: {}, judgingSeconds: 0.05 * images },
  ...{ epochs: 2, minutes: MINUTES[row] as number, digest: 'a', commit: 'abc' },
});

/** A folder of a sweep whose every trial has ended but the last `left`. */
async function ran(path: string, definition: SweepDefinition, left = 0): Promise<void> {
  await createSweepFolder(path, definition);
  const points = definition.search.points ?? [];
  for (const [number, point] of points.slice(0, points.length - left).entries()) {
    const trial = { number, rung: 0, point };
    await writeBegun(path, trial);
    await writeEnd(path, trial, { result: result(definition.labels?.[number] as string, 100) });
  }
}
const startsOf = ({ rows }: Experiment) =>
  new Map(rows.map((row) => [row.name, { ...row.settings, ...row.start } as never]));
const smoke = (rows: readonly string[]): Experiment =>
  experimentsFor(['paradox'], 'smoke', { settings: ['S2'], rows })[0] as Experiment;

test('the runs of a folder are read without going on, those of rows that were not asked for with them', async () => {
  const both = smoke(['ibp', 'crown']);
  expect(await readEvidence(out, both)).toBeUndefined();
  await ran(tuningPath(out, both), tuningSweep(both));
  await ran(finalPath(out, both), finalSweep(both, startsOf(both), 2), 1);
  const evidence = await readEvidence(out, smoke(['crown-ibp']));
  expect(evidence?.experiment.rows.map(({ name }) => name)).toEqual(['ibp', 'crown']);
  expect(evidence && rowTrials(evidence.final).map(({ row }) => row)).toEqual(['ibp', 'crown', 'ibp']);
});

test('the epochs of a row in equal time are decided once, and new rows get theirs of the same time', async () => {
  const every = smoke(['ibp', 'crown-ibp', 'crown']);
  await ran(tuningPath(out, every), tuningSweep(every));
  await ran(finalPath(out, every), finalSweep(every, startsOf(every), 3));
  const final = rowTrials((await readEvidence(out, every))?.final as never);
  expect([slowestRow(final), slowestRow(final, ['crown-ibp']), slowestRow([])]).toEqual([
    'crown',
    'crown',
    undefined,
  ]);
  expect([...epochsInTime(final, 'crown')]).toEqual([
    ['ibp', 8],
    ['crown-ibp', 3],
    ['crown', 2],
  ]);
  // An earlier day on which CROWN took three times as long as IBP.
  const ibp = smoke(['ibp']);
  const known = equalTimeSweep(ibp, startsOf(ibp), 2, final, { slowest: 'crown-ibp' }) as SweepDefinition;
  const longer = equalTimeSweep(every, startsOf(every), 3, final, {
    slowest: 'crown',
    known,
  }) as SweepDefinition;
  expect(longer.labels?.slice(0, 2)).toEqual(['ibp', 'crown-ibp']);
  expect(longer.search.points?.slice(0, 2).map(({ epochs }) => epochs)).toEqual([6, 3]);
  await ran(equalTimePath(out, every, 'crown'), longer);
  expect(await readEvidence(out, every)).toMatchObject({
    slowest: 'crown',
    equalTime: { definition: longer },
  });
});

test('a cost is of what has not ended: certification by what ended took, else as assumed', async () => {
  const ibp = smoke(['ibp']);
  const cost = async (seeds: number) =>
    (await reproductionCost({ experiments: [ibp], seeds, out, sharing: { threads: 1 } }))[0];
  const before = await cost(3);
  expect(before?.tuning).toMatchObject({ trials: 1, isMeasured: false });
  expect(before?.final).toMatchObject({ trials: 3, isMeasured: false });
  expect(before?.final.certifying).toBeCloseTo(3 * 100 * ASSUMED.boundSeconds);
  await ran(tuningPath(out, ibp), tuningSweep(ibp));
  await ran(finalPath(out, ibp), finalSweep(ibp, startsOf(ibp), 2));
  const after = await cost(3);
  expect(after?.tuning).toMatchObject({ trials: 0, seconds: 0, certifying: 0 });
  expect(after?.final).toMatchObject({ trials: 1, isMeasured: true });
  expect(after?.final.certifying).toBeCloseTo(100 * 0.05);
});

test('the command of a folder names its rows and seeds where they are not the usual ones', async () => {
  const options = async (rows: readonly string[], seeds: number) => {
    const of = { settings: ['CNN3'], rows };
    const [experiment] = experimentsFor(['paradox'], 'small', of) as [Experiment];
    const folder = await mkdtemp(join(out, 'cnn3-'));
    await createSweepFolder(tuningPath(folder, experiment), tuningSweep(experiment));
    await createSweepFolder(
      finalPath(folder, experiment),
      finalSweep(experiment, startsOf(experiment), seeds),
    );
    const evidence = await readEvidence(folder, experiment);
    const usual = experimentsFor(['paradox'], 'small', { settings: ['CNN3'] });
    return ranOptions(evidence ? [evidence] : [], ['paradox'], usual).join(' ');
  };
  expect(await options(['ibp', 'crown-ibp'], 5)).toBe('');
  expect(await options(['ibp', 'crown-ibp'], 7)).toBe('--seeds 7');
  expect(await options(['crown'], 5)).toBe('--rows crown');
  expect(await options(['ibp', 'crown-ibp', 'deeppoly'], 5)).toBe('--rows ibp,crown-ibp,deeppoly');
});
