/**
 * A sweep is a folder, and the folder is all its state:
 *
 * ```
 * sweep.json           what is swept, and the version that wrote it
 * jobs/0007-1.json     trial 7 was begun for rung 1: its point and budget
 * results/0007-1.json  what it reached, or the line that says why it failed
 * trials/0007/         its run, as any other: `certify`, `train --resume` and `openRun` take it
 * results.csv          one line for each result
 * summary.md           written last: a sweep that has it is finished
 * lock/, holder.json   while a process works on it
 * ```
 *
 * Files are whole or not there, so whenever the process is killed the next one goes on: what has a result is
 * not run again, what was begun is gone on with, and the search asks for the rest.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, UsageError } from '../experiment/errors.js';
import { lockRun } from '../experiment/run/run-lock.js';
import { VERSION } from '../experiment/version.js';
import { writeFileAtomic } from '../formats/atomic-file.js';
import { toFileError } from '../formats/file-error.js';
import { makeFolder } from '../formats/folder.js';
import type { SweepDefinition } from './definition.js';
import type { Trial } from './search/search.js';
import type { TrialResult } from './trial.js';

/** Version of this layout. */
export const SWEEP_FORMAT = 1;

/** How a trial ended. */
export type TrialEnd = { readonly result: TrialResult } | { readonly failed: string };

export interface SweepFolder {
  readonly path: string;
  readonly definition: SweepDefinition;
  readonly id?: string;
  readonly finished: boolean;
  /** Trials that were begun, by rung and number, and how they ended if they did. */
  readonly begun: readonly { readonly trial: Trial; readonly end?: TrialEnd }[];
}

const padded = (number: number): string => String(number).padStart(4, '0');
export const trialId = ({ number, rung }: Pick<Trial, 'number' | 'rung'>): string =>
  `${padded(number)}-${rung}`;
export const trialFolder = (sweep: string, { number }: Pick<Trial, 'number'>): string =>
  join(sweep, 'trials', padded(number));

const paths = (path: string) => ({
  definition: join(path, 'sweep.json'),
  jobs: join(path, 'jobs'),
  results: join(path, 'results'),
  trials: join(path, 'trials'),
  summary: join(path, 'summary.md'),
  table: join(path, 'results.csv'),
});

/** The file that says what is swept. */
export const sweepDefinitionFile = (path: string): string => paths(path).definition;

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

/**
 * Creates the folder of a sweep.
 * @throws UsageError where something else is, or another sweep; FileError
 */
export async function createSweepFolder(path: string, definition: SweepDefinition): Promise<void> {
  if (existsSync(paths(path).definition)) {
    const known = await readSweepFolder(path);
    if (JSON.stringify(known.definition) === JSON.stringify(definition))
      throw new UsageError(
        `--out: expected a new folder, ${path} is this very sweep; go on with it: \`tautnet sweep --resume ` +
          `${path}\``,
      );
    throw new UsageError(`--out: expected a new folder, ${path} is another sweep; choose another`);
  }
  if (existsSync(path) && (await readdir(path)).length > 0)
    throw new UsageError(
      `--out: expected a new or empty folder, ${path} has other files in it; choose another`,
    );
  for (const folder of [path, paths(path).jobs, paths(path).results, paths(path).trials])
    await makeFolder(folder);
  // Its id tells a sweep from another of the same definition.
  await writeDefinition(path, definition, randomUUID());
}

const writeDefinition = (path: string, definition: SweepDefinition, id: string | undefined): Promise<void> =>
  writeFileAtomic(
    paths(path).definition,
    json({ tautnet: { format: SWEEP_FORMAT, version: VERSION, id }, ...definition }),
  );

/** Whether a sweep over a list is another with more points at its end, or the same. */
function extendsSweep(longer: SweepDefinition, shorter: SweepDefinition): boolean {
  const count = shorter.search.points?.length ?? 0;
  const begun: SweepDefinition = {
    ...longer,
    search: { ...longer.search, points: longer.search.points?.slice(0, count) },
    labels: longer.labels?.slice(0, count),
  };
  return count > 0 && JSON.stringify(begun) === JSON.stringify(shorter);
}

/**
 * Adds points to the end of a sweep over a list, of which nothing that has run is lost.
 * @throws UsageError where the folder holds another sweep; RunInUse; FileError
 */
export async function extendSweepFolder(path: string, definition: SweepDefinition): Promise<void> {
  const lock = await lockSweep(path);
  try {
    const known = await readSweepFolder(path);
    if (!extendsSweep(definition, known.definition))
      throw new UsageError(
        `--out: expected a new folder or the same experiment, ${path} is another; choose another folder`,
      );
    await writeDefinition(path, definition, known.id);
  } finally {
    await lock.release();
  }
}

/** @throws UsageError if there is no sweep; Failure if another version's layout cannot be read; FileError */
export async function readSweepFolder(path: string): Promise<SweepFolder> {
  const { definition: file, jobs, results, summary } = paths(path);
  if (!existsSync(file))
    throw new UsageError(`${path}: expected the folder of a sweep, it has no sweep.json; check the path`);
  const { tautnet, ...definition } = (await contentOf(file)) as SweepDefinition & {
    tautnet?: { format: number; version: string; id?: string };
  };
  if (tautnet?.format !== SWEEP_FORMAT)
    throw new Failure(
      `${file}: expected sweep format ${SWEEP_FORMAT}, got ${tautnet?.format}; use the version that wrote it`,
    );
  const begun = await Promise.all(
    (await readdir(jobs).catch(() => [] as string[]))
      .filter((name) => /^\d+-\d+\.json$/.test(name))
      .map(async (name) => {
        const trial = (await contentOf(join(jobs, name))) as Trial;
        const end = join(results, name);
        return { trial, ...(existsSync(end) && { end: (await contentOf(end)) as TrialEnd }) };
      }),
  );
  begun.sort((a, b) => a.trial.rung - b.trial.rung || a.trial.number - b.trial.number);
  return { path, definition, id: tautnet.id, begun, finished: existsSync(summary) };
}

async function contentOf(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new Failure(`${file}: expected JSON, got something else; restore the file, or begin a new sweep`);
    throw toFileError(file, 'read', error);
  }
}

/** Says that a trial begins; before any of its work. @throws FileError */
export const writeBegun = (path: string, trial: Trial): Promise<void> =>
  writeFileAtomic(join(paths(path).jobs, `${trialId(trial)}.json`), json(trial));

/** Says how a trial ended; after all of its work. @throws FileError */
export const writeEnd = (path: string, trial: Trial, end: TrialEnd): Promise<void> =>
  writeFileAtomic(join(paths(path).results, `${trialId(trial)}.json`), json(end));

/**
 * Makes trials that failed begun ones, for the next process to try them again; their runs stay.
 * @param which those whose label is meant (default: all)
 * @returns their ids
 * @throws RunInUse, Failure, FileError
 */
export async function forgetFailures(
  path: string,
  which: (label: string) => boolean = () => true,
): Promise<string[]> {
  const lock = await lockSweep(path);
  try {
    const { begun, definition } = await readSweepFolder(path);
    const failed = begun
      .filter(({ trial, end }) => end && 'failed' in end && which(definition.labels?.[trial.number] ?? ''))
      .map(({ trial }) => trialId(trial));
    if (failed.length === 0) return [];
    const { results, summary } = paths(path);
    // The page first: a sweep that has it is finished.
    for (const file of [summary, ...failed.map((id) => join(results, `${id}.json`))])
      await rm(file, { force: true }).catch((error: unknown) => {
        throw toFileError(file, 'remove', error);
      });
    return failed;
  } finally {
    await lock.release();
  }
}

/** Writes the table of all results, and once the sweep is over its page. @throws FileError */
export async function writeTables(path: string, csv: string, summary?: string): Promise<void> {
  await writeFileAtomic(paths(path).table, csv);
  if (summary !== undefined) await writeFileAtomic(paths(path).summary, summary);
}

/** One process at a time works on a sweep. @throws RunInUse; FileError */
export const lockSweep = (path: string, onWait?: (line: string) => void) => lockRun(path, { onWait });
