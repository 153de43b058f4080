/**
 * The two sweeps of an experiment: tuning on held-out training images, then every row with its best settings
 * and all seeds, judged on the test set.
 */
import { UsageError } from '../../experiment/errors.js';
import type { SweepDefinition } from '../definition.js';
import type { Assignment } from '../search/parameter.js';
import { randomPoint } from '../search/space.js';
import type { SweepState } from '../sweep-state.js';
import type { TrialResult } from '../trial.js';
import type { Experiment, Row } from './claims.js';
import { meanInterval } from './statistics.js';

/** Seed of the draws of tuning, and the first of its trainings: none of the seeds that are reported. */
const TUNING_SEED = 1000;

const assignment = ({ settings }: Row): Assignment => settings as Assignment;

/** Points of a row's tuning: where it starts, then draws; each with every tuning seed. */
const tuningPoints = (row: Row, trials: number, seeds: number): Assignment[] =>
  Array.from({ length: trials * seeds }, (_, k) => {
    const trial = Math.floor(k / seeds);
    return {
      ...assignment(row),
      ...(trial === 0 ? row.start : randomPoint(row.tune, TUNING_SEED, trial)),
      seed: TUNING_SEED + (k % seeds),
    };
  });

/** Tuning: so many trials for each row, each with so many seeds. */
export function tuningSweep({ rows, settings, trials, tuningSeeds = 1 }: Experiment): SweepDefinition {
  const points = rows.flatMap((row) => tuningPoints(row, trials, tuningSeeds));
  return {
    settings,
    search: { search: 'list', points, objectives: { natural: 'maximize', certified: 'maximize' } },
    judge: { on: 'validation' },
    labels: rows.flatMap((row) => Array<string>(trials * tuningSeeds).fill(row.name)),
  };
}

/** One ended trial of a row. */
export interface RowTrial {
  readonly row: string;
  readonly point: Assignment;
  readonly result: TrialResult;
  readonly number: number;
}

/** The trials of a sweep that ended well, with the names of their rows. */
export const rowTrials = ({ states, definition }: SweepState): RowTrial[] =>
  states.flatMap(({ trial: { number, point }, end }) =>
    end && 'result' in end
      ? [{ row: definition.labels?.[number] ?? '', point, number, result: end.result }]
      : [],
  );

/** Trials of one point with all their seeds. */
interface Tuned {
  readonly point: Assignment;
  readonly certified: number;
  readonly natural: number;
}

/** Each point of a row's tuning, in its order, with means over the seeds that ended. */
function tunedPoints(own: readonly RowTrial[]): Tuned[] {
  const points = new Map<string, RowTrial[]>();
  for (const trial of own) {
    const { seed: _, ...point } = trial.point;
    const key = JSON.stringify(point);
    points.set(key, [...(points.get(key) ?? []), trial]);
  }
  return [...points.values()].map((trials) => ({
    point: (trials[0] as RowTrial).point,
    certified: meanInterval(trials.map(({ result }) => result.certified)).mean,
    natural: meanInterval(trials.map(({ result }) => result.natural)).mean,
  }));
}

/**
 * The best tuned point of each row: by certified accuracy, then natural accuracy, means over tuning seeds,
 * then the earlier.
 * @throws UsageError for a row of which every trial failed
 */
export function bestPoints(
  experiment: Experiment,
  tuned: readonly RowTrial[],
): ReadonlyMap<string, Assignment> {
  return new Map(
    experiment.rows.map(({ name }) => {
      const points = tunedPoints(tuned.filter(({ row }) => row === name));
      const [best] = points.toSorted((a, b) => b.certified - a.certified || b.natural - a.natural);
      if (best === undefined)
        throw new UsageError(
          `${experiment.name}: expected a tuning trial of ${name} that ends, all failed; see its summary.md`,
        );
      return [name, best.point];
    }),
  );
}

/**
 * Every row with the settings that were chosen, once for each seed: all rows of a seed, then of the next, so
 * that what has run so far is paired, and more seeds come after.
 */
export function finalSweep(
  experiment: Experiment,
  best: ReadonlyMap<string, Assignment>,
  seeds: number,
): SweepDefinition {
  const { rows, settings, images, complete, losses, lossImages } = experiment;
  const points = Array.from({ length: seeds }, (_, seed) =>
    rows.map(({ name }) => ({ ...best.get(name), seed }) as Assignment),
  ).flat();
  return {
    settings,
    search: { search: 'list', points, objectives: { natural: 'maximize', certified: 'maximize' } },
    judge: {
      on: 'test',
      attack: { steps: 40, restarts: 3 },
      ...(images !== undefined && { images }),
      ...(complete !== undefined && { complete }),
      losses,
      lossImages,
    },
    labels: Array.from({ length: seeds }, () => rows.map(({ name }) => name)).flat(),
  };
}
