/**
 * The folder of an experiment's runs:
 *
 * ```
 * tuning/             a sweep: every row's tuning
 * final/              every row with all seeds, in equal steps
 * equal-time-crown/   the other rows once more, each in the training time of the row crown
 * ```
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readSweepFolder } from '../sweep-folder.js';
import type { SweepState } from '../sweep-state.js';
import type { Experiment } from './claims.js';
import { slowestRow } from './equal-time.js';
import type { Evidence } from './findings.js';
import { rowTrials } from './sweeps.js';

const EQUAL_TIME = 'equal-time-';

export const tuningPath = (out: string, { name }: Experiment): string => join(out, name, 'tuning');
export const finalPath = (out: string, { name }: Experiment): string => join(out, name, 'final');
export const equalTimePath = (out: string, { name }: Experiment, slowest: string): string =>
  join(out, name, `${EQUAL_TIME}${slowest}`);

/** Rows in whose time others have been trained. */
export async function equalTimeRows(out: string, { name }: Experiment): Promise<string[]> {
  const files = existsSync(join(out, name)) ? await readdir(join(out, name)) : [];
  return files.filter((file) => file.startsWith(EQUAL_TIME)).map((file) => file.slice(EQUAL_TIME.length));
}

/**
 * Where a sweep stands, without going on with it; undefined where none was begun.
 * @throws Failure; FileError
 */
export async function readPart(path: string): Promise<SweepState | undefined> {
  if (!existsSync(join(path, 'sweep.json'))) return undefined;
  const { definition, begun } = await readSweepFolder(path);
  return { definition, trials: definition.search.points?.length ?? 0, states: begun, front: [] };
}

/** The experiment with every row that its folder has, asked for or not. */
export function withRowsOf(experiment: Experiment, final: SweepState): Experiment {
  const { rows, allRows = rows } = experiment;
  const found = new Set(final.definition.labels);
  return { ...experiment, rows: allRows.filter(({ name }) => found.has(name)) };
}

/** What the runs of an experiment's folder say; undefined where none has been begun. @throws as readPart */
export async function readEvidence(out: string, experiment: Experiment): Promise<Evidence | undefined> {
  const tuning = await readPart(tuningPath(out, experiment));
  const final = await readPart(finalPath(out, experiment));
  if (tuning === undefined || final === undefined) return undefined;
  const slowest = slowestRow(rowTrials(final), await equalTimeRows(out, experiment));
  const equalTime =
    slowest === undefined ? undefined : await readPart(equalTimePath(out, experiment, slowest));
  return {
    experiment: withRowsOf(experiment, final),
    tuning,
    final,
    ...(equalTime && { equalTime, slowest }),
  };
}
