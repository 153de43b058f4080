/** What runs say of comparisons: differences paired by seed, with 95 % t-intervals. */
import { failureOf, failuresOf, type SweepState } from '../sweep-state.js';
import type { Comparison, Experiment } from './claims.js';
import { epochsInTime, slowestRow } from './equal-time.js';
import type { Phase } from './known-runs.js';
import { type Interval, meanInterval, pairedInterval } from './statistics.js';
import { type RowTrial, rowTrials } from './sweeps.js';

/** One experiment that was run. */
export interface Evidence {
  readonly experiment: Experiment;
  readonly tuning: SweepState;
  /** Every row in equal steps. */
  readonly final: SweepState;
  /** Every row but the slowest once more, in the slowest's time. */
  readonly equalTime?: SweepState;
  /** The row whose time that is (default: the slowest). */
  readonly slowest?: string;
}

/** What rows had equally much of. */
export type Panel = 'steps' | 'time';
export type Answer = 'shown' | 'refuted' | 'open';

/** Shown where the whole interval of the difference is above 0, refuted where it is below. */
export function answerOf({ low, high }: Pick<Interval, 'low' | 'high'>): Answer {
  if (low > 0) return 'shown';
  return high < 0 ? 'refuted' : 'open';
}

/** What the runs say of a comparison. Differences of accuracies in [0, 1]. */
export interface Finding extends Comparison {
  readonly experiment: string;
  readonly equal: Panel;
  readonly certified: Interval;
  readonly natural: Interval;
  /** Shown: the whole interval of the certified difference is above 0; refuted: below. */
  readonly answer: Answer;
}

/** A run that failed, and why. */
export interface FailedRun {
  readonly experiment: string;
  /** "tuning", "final" or "equal time". */
  readonly phase: Phase;
  readonly row: string;
  readonly seed: number;
  readonly reason: string;
}

/** The runs that failed: rows have so many seeds, or tuning trials, fewer. */
export const failedRuns = (evidence: Evidence): FailedRun[] =>
  partsOf(evidence).flatMap(([phase, state]) =>
    failuresOf(state).map((each) => ({
      experiment: evidence.experiment.name,
      phase,
      row: state.definition.labels?.[each.trial.number] ?? '',
      seed: Number(each.trial.point.seed),
      reason: failureOf(each) as string,
    })),
  );

/** The sweeps of an experiment that were run, by what tables call them. */
export const partsOf = ({ tuning, final, equalTime }: Evidence): (readonly [Phase, SweepState])[] => [
  ['tuning', tuning],
  ['final', final],
  ...(equalTime ? [['equal time', equalTime] as const] : []),
];

/** Panels that were run. */
export const panelsOf = ({ equalTime }: Evidence): readonly Panel[] =>
  equalTime === undefined ? ['steps'] : ['steps', 'time'];

/**
 * The runs of a panel. The slowest row has all its time in equal steps already, and so have those as slow; a
 * row that could have had more and was not trained again is not in the panel of equal time.
 */
export function trialsOf({ final, equalTime, slowest }: Evidence, panel: Panel): RowTrial[] {
  const inSteps = rowTrials(final);
  if (panel === 'steps' || equalTime === undefined) return inSteps;
  const inTime = rowTrials(equalTime);
  const again = new Set(equalTime.definition.labels);
  const fitting = epochsInTime(inSteps, slowest ?? (slowestRow(inSteps) as string));
  const spent = ({ row, result }: RowTrial): boolean =>
    !again.has(row) && (fitting.get(row) as number) <= result.epochs;
  return [...inSteps.filter(spent), ...inTime];
}

export const ofRow = (trials: readonly RowTrial[], name: string): RowTrial[] =>
  trials.filter(({ row }) => row === name);

const bySeed = (trials: readonly RowTrial[], measure: 'natural' | 'certified'): Map<number, number> =>
  new Map(trials.map(({ point, result }) => [point.seed as number, result[measure]]));

/** Every comparison with what the runs say: at equal steps and, where that was run, at equal time. */
export function findingsOf(evidence: Evidence): Finding[] {
  const { experiment } = evidence;
  return panelsOf(evidence).flatMap((equal) => {
    const trials = trialsOf(evidence, equal);
    return experiment.comparisons.flatMap((comparison) => {
      const [a, b] = [ofRow(trials, comparison.better), ofRow(trials, comparison.worse)];
      if (a.length === 0 || b.length === 0) return [];
      const certified = pairedInterval(bySeed(a, 'certified'), bySeed(b, 'certified'));
      const natural = pairedInterval(bySeed(a, 'natural'), bySeed(b, 'natural'));
      const answer = answerOf(certified);
      return [{ ...comparison, experiment: experiment.name, equal, certified, natural, answer }];
    });
  });
}

/** The rows of a panel by mean certified accuracy, and what stands between the best and the others. */
export interface Ranking {
  readonly best: string;
  /** Mean certified accuracy, in [0, 1]. */
  readonly certified: number;
  /** The next best, and the best's certified accuracy minus its, paired by seed. */
  readonly runnerUp: string;
  readonly lead: Interval;
  /** Whether the whole interval is above 0. */
  readonly isSeparable: boolean;
  /** Rows whose difference from the best has 0 in its interval. */
  readonly asGood: readonly string[];
}

/**
 * Which row makes the best network of a setting; undefined for fewer than two. The best is chosen after
 * looking, so its lead is a little larger here than in new seeds.
 */
export function rankingOf(evidence: Evidence, panel: Panel): Ranking | undefined {
  const trials = trialsOf(evidence, panel);
  const ranked = [...new Set(trials.map(({ row }) => row))]
    .map((row) => {
      const own = ofRow(trials, row);
      return { row, own, mean: meanInterval(own.map(({ result }) => result.certified)).mean };
    })
    .toSorted((a, b) => b.mean - a.mean);
  const [best, ...others] = ranked;
  const [next] = others;
  if (best === undefined || next === undefined) return undefined;
  const ahead = ({ own }: typeof best): Interval =>
    pairedInterval(bySeed(best.own, 'certified'), bySeed(own, 'certified'));
  const lead = ahead(next);
  return {
    ...{ best: best.row, certified: best.mean, runnerUp: next.row, lead, isSeparable: lead.low > 0 },
    asGood: others.filter((other) => ahead(other).low <= 0).map(({ row }) => row),
  };
}
