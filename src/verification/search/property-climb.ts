/**
 * One property while its polytopes climb the ladder: what its stages share – bounds so far, the rounds of the
 * attack, the time that is left.
 */
import type { VerificationContext } from '../proof/context.js';
import type { Counterexample } from '../proof/counterexample.js';
import type { Stage } from '../proof/ladder.js';
import type { BoxTrace } from '../proof/trace.js';
import type { Polytope } from '../property/property.js';
import type { CompleteSearchResult } from './complete-search.js';
import { PropertyAttack } from './property-attack.js';

export const verificationStages = ['attack', 'ibp', 'crown', 'alpha-crown', 'branch-and-bound'] as const;
/** Stages of a verification, in their order. */
export type VerificationStage = (typeof verificationStages)[number];

/** Progress of a verification. */
export interface VerifyProgress {
  readonly stage: VerificationStage;
  /** Boxes and parts of boxes bounded so far. */
  readonly subproblems: number;
  /** The least of the bounds of what is open: where it is positive, everything is proved. */
  readonly lowerBound?: number;
  readonly seconds: number;
}

/** A verdict on one polytope: the network does not reach it, or a counterexample does. */
export interface PolytopeVerdict {
  /** Stage that decided. */
  readonly stage: VerificationStage;
  /** Decides the whole property; without one the polytope is proved unreachable. */
  readonly counterexample?: Counterexample;
}

/** One way to decide polytopes. */
export type PropertyStage = Stage<PropertyClimb, PolytopeVerdict>;

export interface PropertyLimits {
  /** Time of `performance.now()` at which the verification gives up. */
  readonly deadline: number;
  readonly memoryBytes?: number;
  /** Proofs in float64 that bound their rounding errors. */
  readonly sound?: boolean;
  readonly boundsFirst?: boolean;
  /** Takes how the search proved polytopes, by their numbers in the property. */
  readonly traced?: (traces: readonly BoxTrace[]) => void;
  readonly progress?: (progress: Omit<VerifyProgress, 'seconds'>) => void;
}

export class PropertyClimb {
  /** Rounds beside the search go on after those before it. */
  readonly attack: PropertyAttack;
  /** Boxes and parts of boxes bounded so far. */
  subproblems = 0;
  /** Reason for which the search left something open; before it only time ends a climb. */
  unfinished: NonNullable<CompleteSearchResult['reason']> = 'time';
  /** The best bound of each polytope. */
  readonly #bounds: number[];

  constructor(
    readonly context: VerificationContext,
    readonly polytopes: readonly Polytope[],
    readonly limits: PropertyLimits,
  ) {
    this.attack = new PropertyAttack(context);
    this.#bounds = polytopes.map(() => Number.NEGATIVE_INFINITY);
  }

  openPolytopes(open: readonly number[]): Polytope[] {
    return open.map((index) => this.polytopes[index] as Polytope);
  }

  late(): boolean {
    return performance.now() > this.limits.deadline;
  }

  /** Takes a bound of one polytope. */
  raise(index: number, bound: number): void {
    this.#bounds[index] = Math.max(this.#bounds[index] as number, bound);
  }

  /** The least of the polytopes' best bounds, given one of all open ones; left out where there is none. */
  lowerBound(open: readonly number[] = [], ofOpen = Number.NEGATIVE_INFINITY): { lowerBound?: number } {
    const isOpen = new Set(open);
    const least = this.#bounds.reduce(
      (a, bound, index) => Math.min(a, isOpen.has(index) ? Math.max(bound, ofOpen) : bound),
      Number.POSITIVE_INFINITY,
    );
    return Number.isFinite(least) ? { lowerBound: least } : {};
  }

  tell(stage: VerificationStage, subproblems = this.subproblems, lowerBound = this.lowerBound()): void {
    this.limits.progress?.({ stage, subproblems, ...lowerBound });
  }
}
