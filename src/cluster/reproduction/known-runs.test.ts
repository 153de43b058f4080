import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSweepFolder, readSweepFolder, writeBegun } from '../sweep-folder.js';
import { CLAIMS, type Experiment } from './claims.js';
import { reproductionCost } from './cost.js';
import { finalPath, readEvidence, readPart, tuningPath } from './evidence-folder.js';
import { experimentsFor } from './experiments.js';
import { adoptRuns, epochsOf, type KnownRun, knownTrials, readKnownRuns, runsOf } from './known-runs.js';
import { reportCsv } from './report.js';
import { bestPoints, finalSweep, rowTrials, tuningSweep } from './sweeps.js';

const published = (name: string): string =>
  fileURLToPath(new URL(`../../../docs/results/${name}.csv`, import.meta.url));

let out: string;
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'tautnet-known-'));
});
afterEach(() => rm(out, { recursive: true, force: true }));

/** The setting of a table with the rows that it has, as it is defined today. */
function experimentOf(runs: readonly KnownRun[]): Experiment {
  const settings = [(runs[0] as KnownRun).experiment];
  const finals = runs.filter(({ phase }) => phase === 'final');
  const rows = [...new Set(finals.map(({ row }) => row))];
  return experimentsFor(CLAIMS, 'small', { settings, rows })[0] as Experiment;
}

/** A new folder with the runs of a table. */
async function folderOf(experiment: Experiment, runs: readonly KnownRun[], seeds: number): Promise<void> {
  await createSweepFolder(tuningPath(out, experiment), tuningSweep(experiment));
  await adoptRuns(tuningPath(out, experiment), runsOf(runs, experiment.name, 'tuning'));
  const tuning = await readPart(tuningPath(out, experiment));
  const best = bestPoints(experiment, rowTrials(tuning as never));
  await createSweepFolder(finalPath(out, experiment), finalSweep(experiment, best, seeds));
  await adoptRuns(finalPath(out, experiment), runsOf(runs, experiment.name, 'final'));
}

describe('the runs of a published table', () => {
  test.each([
    ['small-cnn3', 5],
    ['full-0.3', 3],
    ['full-0.1', 3],
    ['small-s', 5],
    ['small-s2-wide', 5],
    ['small-s2-cifar10', 5],
    ['small-s2', 10],
    ['small-s2-beyond', 10],
  ])('of %s are those of its setting: a new folder that knows them writes its lines', async (name, seeds) => {
    const runs = await readKnownRuns(published(name));
    const experiment = experimentOf(runs);
    await folderOf(experiment, runs, seeds);
    const evidence = await readEvidence(out, experiment);
    const lines = (text: string): string[] => text.trimEnd().split('\n').toSorted();
    const written = lines(reportCsv(evidence ? [evidence] : []));
    const known = lines(await readFile(published(name), 'utf8'));
    expect(written.filter((line) => !known.includes(line))).toEqual([]);
    const rows = new Set(experiment.rows.map((row) => row.name));
    const told = runs.filter(({ phase, row }) => phase !== 'equal time' && rows.has(row));
    expect(written.length).toBe(told.length + 1);
  });

  test('cost nothing, and what goes beyond them does', async () => {
    const known = await readKnownRuns(published('small-cnn3'));
    const [experiment] = experimentsFor(CLAIMS, 'small', { settings: ['CNN3'], rows: ['ibp', 'crown-ibp'] });
    const cost = async (seeds: number) =>
      (
        await reproductionCost({
          experiments: [experiment as Experiment],
          ...{ seeds, out, known, sharing: { threads: 1 } },
        })
      )[0];
    expect(await cost(5)).toMatchObject({ tuning: { trials: 0 }, final: { trials: 0, certifying: 0 } });
    // A table does not tell how long certification took.
    expect((await cost(6))?.final).toMatchObject({ trials: 2, isMeasured: false });
  });
});

describe('a run', () => {
  const known = readKnownRuns(published('small-cnn3'));

  test('is known by row, phase and every setting', async () => {
    const runs = runsOf(await known, 'CNN3', 'tuning');
    const [experiment] = experimentsFor(CLAIMS, 'small', { settings: ['CNN3'], rows: ['ibp'] });
    const sweep = tuningSweep(experiment as Experiment);
    expect(knownTrials(sweep, runs).map(({ number }) => number)).toEqual([0, 1, 2, 3]);
    expect(knownTrials(sweep, runs)[0]?.result).toMatchObject({ certified: 0.814, epochs: 20, losses: {} });
    expect(knownTrials({ ...sweep, settings: { ...sweep.settings, epsilon: 0.2 } }, runs)).toEqual([]);
    expect(knownTrials({ ...sweep, labels: sweep.labels?.map(() => 'sabr') }, runs)).toEqual([]);
    expect(runsOf(await known, 'S2', 'tuning')).toEqual([]);
  });

  test('that has begun in the folder goes on there', async () => {
    const runs = runsOf(await known, 'CNN3', 'tuning');
    const [experiment] = experimentsFor(CLAIMS, 'small', { settings: ['CNN3'], rows: ['ibp'] });
    const sweep = tuningSweep(experiment as Experiment);
    await createSweepFolder(out, sweep);
    await writeBegun(out, { number: 1, rung: 0, point: sweep.search.points?.[1] ?? {} });
    await adoptRuns(out, runs);
    await adoptRuns(out, runs);
    const { begun } = await readSweepFolder(out);
    expect(begun.map(({ trial, end }) => [trial.number, end !== undefined])).toEqual([
      [0, true],
      [1, false],
      [2, true],
      [3, true],
    ]);
  });

  test('in equal time has the epochs of its command', async () => {
    const runs = runsOf(await readKnownRuns(published('small-s2')), 'S2', 'equal time');
    expect(epochsOf(runs).get('ibp')).toBe(533);
  });
});

test.each([
  ['a,b\n1,2\n', 'run 1: experiment'],
  ['a,b\n1\n', 'Invalid Record Length'],
  [
    'experiment,phase,row,natural,certified,adversarial,images,minutes,command,commit,sha256\nS2,final,ibp,0.9,,0.9,10,1,tautnet train,abc,12\n',
    'run 1: certified: expected a number',
  ],
  [
    'experiment,phase,row,natural,certified,adversarial,images,minutes,command,commit,sha256\nS2,final,ibp,90,50,60,10,1,tautnet train,abc,12\n',
    'run 1: natural: ',
  ],
])('a table that is none is refused in one line: %j', async (text, line) => {
  const path = join(out, 'table.csv');
  await writeFile(path, text);
  await expect(readKnownRuns(path)).rejects.toThrow(
    `${path}: expected a table of runs that \`tautnet reproduce\` wrote, got`,
  );
  await expect(readKnownRuns(path)).rejects.toThrow(line);
});
