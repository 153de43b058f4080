import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SweepDefinition } from '../definition.js';
import { createSweepFolder, writeBegun, writeEnd } from '../sweep-folder.js';
import type { SweepState } from '../sweep-state.js';
import type { TrialResult } from '../trial.js';
import type { Experiment } from './claims.js';
import { finalPath, readPart, tuningPath } from './evidence-folder.js';
import { experimentsFor } from './experiments.js';
import { reproduce } from './reproduce.js';
import { bestPoints, finalSweep, rowTrials, tuningSweep } from './sweeps.js';

let out: string;
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'tautnet-reproduce-'));
});
afterEach(() => rm(out, { recursive: true, force: true }));

const result: TrialResult = {
  ...{ natural: 0.9, certified: 0.5, adversarial: 0.6, images: 100, losses: {}, judgingSeconds: 1 },
  ...{ epochs: 2, minutes: 1, digest: 'a', commit: 'abc' },
};
const S2 = (...rows: string[]): Experiment =>
  experimentsFor(['paradox'], 'small', { settings: ['S2'], rows })[0] as Experiment;

/** A folder of a sweep whose every trial has ended, some of them with a failure. */
async function ended(path: string, definition: SweepDefinition, failed: readonly number[]): Promise<void> {
  await createSweepFolder(path, definition);
  for (const [number, point] of (definition.search.points ?? []).entries()) {
    const trial = { number, rung: 0, point };
    await writeBegun(path, trial);
    await writeEnd(path, trial, failed.includes(number) ? { failed: 'no memory' } : { result });
  }
}

test('failed runs are tried again, but for the tuning of a row that has begun with its seeds', async () => {
  const both = S2('ibp', 'crown');
  const tuning = tuningSweep(both);
  const ofRow = both.trials * (both.tuningSeeds as number);
  // One of each row's tuning, and one of the seeds of the row that has begun with them.
  await ended(tuningPath(out, both), tuning, [1, ofRow + 1]);
  const tuned = rowTrials((await readPart(tuningPath(out, both))) as SweepState);
  await ended(finalPath(out, both), finalSweep(S2('ibp'), bestPoints(S2('ibp'), tuned), 2), [1]);
  const calls: (readonly string[] | undefined)[] = [];
  const evidence = await reproduce({
    ...{ experiments: [both], seeds: 2, out, retryFailed: true, command: () => 'tautnet reproduce' },
    async run(path, { retried }) {
      calls.push(retried);
      return (await readPart(path)) as SweepState;
    },
  });
  expect(calls).toEqual([[`00${ofRow + 1}-0`], ['0001-0']]);
  const left = (path: string, id: string): boolean => existsSync(join(path, 'results', `${id}.json`));
  expect(left(tuningPath(out, both), '0001-0')).toBe(true);
  expect(left(tuningPath(out, both), `00${ofRow + 1}-0`)).toBe(false);
  expect(left(finalPath(out, both), '0001-0')).toBe(false);
  // The other row has come with its seeds, and the page names what stays failed.
  expect(evidence[0]?.final.definition.labels).toEqual(['ibp', 'ibp', 'crown', 'crown']);
  expect(await readFile(join(out, 'results.md'), 'utf8')).toContain('- tuning, ibp, seed 1001: no memory');
});
