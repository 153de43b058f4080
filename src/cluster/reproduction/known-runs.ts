/**
 * Runs that tables of earlier calls tell: what is in a table need not run again, also where its folder is
 * gone. A run is the same where experiment, phase, row and command are, the command being all its settings.
 */
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { resolveSettings } from '../../experiment/settings/resolve-settings.js';
import { FormatError } from '../../formats/format-error.js';
import { readLimited } from '../../formats/read-limited.js';
import { commandOf, givenSettings, type SweepDefinition } from '../definition.js';
import { lockSweep, readSweepFolder, writeBegun, writeEnd } from '../sweep-folder.js';
import type { TrialResult } from '../trial.js';
import type { RowTrial } from './sweeps.js';

/** Parts of an experiment, as tables call them. */
export const PHASES = ['tuning', 'final', 'equal time'] as const;
export type Phase = (typeof PHASES)[number];

/** A line of a table. */
export interface KnownRun {
  readonly experiment: string;
  readonly phase: Phase;
  readonly row: string;
  readonly command: string;
  readonly result: Omit<TrialResult, 'epochs'>;
}

/** Bytes of a table; a line is about 500. */
const LARGEST = 2 ** 26;

const number = z.string().regex(/\S/, 'expected a number').transform(Number).pipe(z.number());
const accuracy = number.pipe(z.number().min(0).max(1));
const lineSchema = z.looseObject({
  experiment: z.string().min(1),
  phase: z.enum(PHASES),
  row: z.string().min(1),
  natural: accuracy,
  certified: accuracy,
  adversarial: accuracy,
  images: number.pipe(z.int().min(1)),
  minutes: number.pipe(z.number().min(0)),
  command: z.string().startsWith('tautnet train'),
  commit: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]+$/, 'expected hexadecimal digits'),
});

/**
 * The runs of a table that `reproduce` wrote.
 * @throws FormatError naming the line for a file that is no such table; FileError
 */
export async function readKnownRuns(path: string): Promise<KnownRun[]> {
  const text = (await readLimited(path, { most: LARGEST })).toString('utf8');
  let lines: Record<string, string>[];
  try {
    lines = parse(text, { columns: true, skip_empty_lines: true });
  } catch (error) {
    throw noTable(path, (error as Error).message);
  }
  return lines.map((line, i) => {
    const read = lineSchema.safeParse(line);
    if (read.success) return runOf(read.data, lossesOf(line));
    const { path: at = [], message } = read.error.issues[0] ?? { message: 'no run' };
    throw noTable(path, `run ${i + 1}: ${at.join('.')}: ${message}`);
  });
}

const noTable = (path: string, got: string): FormatError =>
  new FormatError(`${path}: expected a table of runs that \`tautnet reproduce\` wrote, got ${got}`);

/** The losses that were measured, by relaxation. */
const lossesOf = (line: Readonly<Record<string, string>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(line).flatMap(([column, text]) =>
      column.startsWith('loss ') && text !== '' ? [[column.slice('loss '.length), Number(text)]] : [],
    ),
  );

function runOf(
  { experiment, phase, row, command, sha256, ...line }: z.infer<typeof lineSchema>,
  losses: Record<string, number>,
): KnownRun {
  const { natural, certified, adversarial, images, minutes, commit } = line;
  const result = { natural, certified, adversarial, images, minutes, losses, commit, digest: sha256 };
  return { experiment, phase, row, command, result };
}

/** Runs of one part of an experiment. */
export const runsOf = (known: readonly KnownRun[], experiment: string, phase: Phase): KnownRun[] =>
  known.filter((run) => run.experiment === experiment && run.phase === phase);

/** The trials of a sweep that are among the runs of its part, with their results. */
export function knownTrials(definition: SweepDefinition, runs: readonly KnownRun[]): RowTrial[] {
  if (runs.length === 0) return [];
  const byName = new Map(runs.map((run) => [`${run.row} ${run.command}`, run.result]));
  return (definition.search.points ?? []).flatMap((point, number) => {
    const row = definition.labels?.[number] ?? '';
    const given = givenSettings(definition, point);
    const told = byName.get(`${row} ${commandOf(given)}`);
    if (told === undefined) return [];
    const { epochs } = resolveSettings({ ...given, out: 'trial' });
    return [{ row, point, number, result: { ...told, epochs } }];
  });
}

/**
 * Writes into a sweep's folder what the runs of its part tell of trials that it has not begun.
 * @throws RunInUse, Failure, FileError
 */
export async function adoptRuns(path: string, runs: readonly KnownRun[]): Promise<void> {
  const lock = await lockSweep(path);
  try {
    const { definition, begun } = await readSweepFolder(path);
    const own = new Set(begun.map(({ trial }) => trial.number));
    for (const { number, point, result } of knownTrials(definition, runs)) {
      if (own.has(number)) continue;
      const trial = { number, rung: 0, point };
      await writeEnd(path, trial, { result });
      await writeBegun(path, trial);
    }
  } finally {
    await lock.release();
  }
}

/** Epochs that rows had in equal time, as their commands say. */
export const epochsOf = (runs: readonly KnownRun[]): ReadonlyMap<string, number> =>
  new Map(
    runs.flatMap(({ row, command }) => {
      const epochs = /--epochs (\d+)/.exec(command)?.[1];
      return epochs === undefined ? [] : [[row, Number(epochs)]];
    }),
  );
