/** What runs say of comparisons: differences paired by seed, with 95 % t-intervals. */
import type { SweepState } from '../sweep-state.js';
import type { Comparison, Experiment } from './claims.js';
import { type Interval, pairedInterval } from './statistics.js';
import { type RowTrial, rowTrials } from './sweeps.js';

/** One experiment that was run. */
export interface Evidence {
  readonly experiment: Experiment;
  readonly tuning: SweepState;
  /** Every row in equal steps. */
  readonly final: SweepState;
  /** Every row but the slowest once more, in the slowest's time. */
  readonly equalTime?: SweepState;
}

/** What rows had equally much of. */
export type Panel = 'steps' | 'time';
export type Answer = 'shown' | 'refuted' | 'open';

/** What the runs say of a comparison. Differences of accuracies in [0, 1]. */
export interface Finding extends Comparison {
  readonly experiment: string;
  readonly equal: Panel;
  readonly certified: Interval;
  readonly natural: Interval;
  /** Shown: the whole interval of the certified difference is above 0; refuted: below. */
  readonly answer: Answer;
}

/** Panels that were run. */
export const panelsOf = ({ equalTime }: Evidence): readonly Panel[] =>
  equalTime === undefined ? ['steps'] : ['steps', 'time'];

/** The runs of a panel. The slowest row has all its time in equal steps already. */
export function trialsOf({ final, equalTime }: Evidence, panel: Panel): RowTrial[] {
  const inSteps = rowTrials(final);
  if (panel === 'steps' || equalTime === undefined) return inSteps;
  const inTime = rowTrials(equalTime);
  const again = new Set(equalTime.definition.labels);
  return [...inSteps.filter(({ row }) => !again.has(row)), ...inTime];
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
      const answer: Answer = certified.low > 0 ? 'shown' : certified.high < 0 ? 'refuted' : 'open';
      return [{ ...comparison, experiment: experiment.name, equal, certified, natural, answer }];
    });
  });
}
