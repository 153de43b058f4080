/**
 * Every row once more in the training time of the slowest: cheap rows get more epochs. How many is decided
 * once, when a row is first run so, from minutes that differ from day to day; then its runs have their bits.
 */
import type { SweepDefinition } from '../definition.js';
import type { Assignment } from '../search/parameter.js';
import type { Experiment } from './claims.js';
import { median } from './statistics.js';
import { finalSweep, type RowTrial } from './sweeps.js';

/** Minutes of training of each row, the median of its seeds: a machine may sleep while one of them runs. */
function minutesOf(trials: readonly RowTrial[]): ReadonlyMap<string, number> {
  const names = [...new Set(trials.map(({ row }) => row))];
  return new Map(
    names.map((name) => {
      const own = trials.filter(({ row }) => row === name);
      return [name, median(own.map(({ result }) => result.minutes))];
    }),
  );
}

/** A row that was the slowest stays it while it takes so much of the slowest's time. */
const STILL_SLOWEST = 0.9;

/**
 * The row in whose time the others train once more: the slowest, or one in `before`, which was so earlier,
 * where it is almost as slow.
 */
export function slowestRow(final: readonly RowTrial[], before: readonly string[] = []): string | undefined {
  const slow = [...minutesOf(final)].toSorted(([, a], [, b]) => b - a);
  const [most] = slow;
  if (most === undefined) return undefined;
  const known = slow.find(([row, minutes]) => before.includes(row) && minutes >= STILL_SLOWEST * most[1]);
  return (known ?? most)[0];
}

/** Epochs of each row that fit into the time of the row `slowest`, by equal steps. */
export function epochsInTime(final: readonly RowTrial[], slowest: string): ReadonlyMap<string, number> {
  const minutes = minutesOf(final);
  return new Map(
    [...minutes].map(([row, own]) => {
      const { epochs } = (final.find((trial) => trial.row === row) as RowTrial).result;
      return [row, Math.round((epochs * (minutes.get(slowest) as number)) / own)];
    }),
  );
}

/** The first point of a row in a sweep. */
const pointOf = ({ labels, search }: SweepDefinition, row: string): Assignment | undefined =>
  search.points?.[labels?.indexOf(row) ?? -1];

/** What has run in equal time before. */
export interface EqualTimeBefore {
  readonly slowest?: string;
  readonly known?: SweepDefinition;
  readonly told?: ReadonlyMap<string, number>;
}

/**
 * The final sweep once more with every row but the slowest, each in as many epochs as fit into the slowest's
 * training time, its warm-up stretched alike; undefined where none fits more.
 *
 * @param known what has run so already: its rows keep their epochs
 * @param told epochs of rows that ran so elsewhere
 */
export function equalTimeSweep(
  experiment: Experiment,
  best: ReadonlyMap<string, Assignment>,
  seeds: number,
  final: readonly RowTrial[],
  { slowest = slowestRow(final) as string, known, told = new Map() }: EqualTimeBefore = {},
): SweepDefinition | undefined {
  const fitting = epochsInTime(final, slowest);
  const stretched = experiment.rows.flatMap((row) => {
    const epochs = final.find((trial) => trial.row === row.name)?.result.epochs;
    if (epochs === undefined) return [];
    const more = (known && pointOf(known, row.name)?.epochs) ?? told.get(row.name) ?? fitting.get(row.name);
    if (typeof more !== 'number' || more <= epochs) return [];
    const { warmupEpochs } = experiment.settings;
    const warm = warmupEpochs === undefined ? {} : { warmupEpochs: (warmupEpochs * more) / epochs };
    return [{ row, point: { ...best.get(row.name), epochs: more, ...warm } as Assignment }];
  });
  if (stretched.length === 0) return undefined;
  const points = new Map(stretched.map(({ row, point }) => [row.name, point]));
  return finalSweep({ ...experiment, rows: stretched.map(({ row }) => row) }, points, seeds);
}
