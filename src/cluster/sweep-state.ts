/** Where a sweep stands: what is shown of it while it runs, and what its tables are made of. */
import type { SweepDefinition } from './definition.js';
import type { Trial } from './search/search.js';
import type { TrialEnd } from './sweep-folder.js';
import type { TrialProgress } from './trial.js';

/** One trial of a sweep with what is known of it. */
export interface TrialState {
  readonly trial: Trial;
  readonly progress?: TrialProgress;
  readonly end?: TrialEnd;
}

/** Where a sweep stands. */
export interface SweepState {
  readonly definition: SweepDefinition;
  /** Trials in all; with halving those of the first rung. */
  readonly trials: number;
  /** Begun ones, in the order of rungs and numbers. */
  readonly states: readonly TrialState[];
  /** What is on the Pareto front so far, of the highest rung reached. */
  readonly front: readonly Pick<Trial, 'number' | 'rung'>[];
}

/** Whether a result is on the front. */
export const isOnFront = ({ front }: Pick<SweepState, 'front'>, { trial, end }: TrialState): boolean =>
  end !== undefined && front.some(({ number, rung }) => number === trial.number && rung === trial.rung);

/** Why a trial failed, in one line; undefined where it did not. */
export const failureOf = ({ end }: TrialState): string | undefined =>
  end && 'failed' in end ? end.failed : undefined;

/** The trials that failed. */
export const failuresOf = ({ states }: Pick<SweepState, 'states'>): readonly TrialState[] =>
  states.filter((each) => failureOf(each) !== undefined);
