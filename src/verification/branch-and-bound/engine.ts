/** The engine of branch and bound: one network, a pool, a deadline. */
import { type FloatType, type HostData, hostArray } from '../../graph/index.js';
import type { Network } from '../../network/network.js';
import type { Feeds } from '../../runtime/execution/session.js';
import type { Plan } from '../../runtime/plan/plan.js';
import type { PlanStore } from '../proof/context.js';
import type { Front } from './front.js';

export type Floats = Float32Array | Float64Array;

/** Ends of a box or of a layer's values, of the engine's type. */
export interface Ends {
  readonly lower: Floats;
  readonly upper: Floats;
}

/** By node, ReLU or smooth activation: bounds of its input. */
export type HiddenBounds = ReadonlyMap<number, Ends>;

/** One row to be shown positive over the box: coefficients·f(x) > threshold. */
export interface Goal {
  readonly coefficients: Float64Array;
  /** Coefficients of the inputs, added to them. */
  readonly inputs?: Float64Array;
  readonly threshold: number;
}

export interface Engine {
  readonly network: Network;
  /**
   * float64: every bound is moved by what rounding can do to it (`rounding-error.ts`), and is a proof where
   * it is positive.
   */
  readonly dtype: FloatType;
  /** Plans that run at once. */
  readonly threads: number;
  /** Columns of a program, at most, where they should not be those that suit the CPU. */
  readonly columns?: number;
  /** Outputs of a plan by name, at the network's parameters. */
  run(plan: Plan, feeds: Feeds): Promise<Readonly<Record<string, HostData>>>;
  /** The plan of a name, compiled when first asked for. */
  readonly plan: PlanStore;
  /** Whether the time is over or the caller has had enough. */
  expired(): boolean;
  /** The same behind the network's front, where it has one and bounds are of float32. */
  readonly behind?: { readonly front: Front; readonly engine: Engine };
}

/** Zeros of the engine's type. */
export const floats = ({ dtype }: Pick<Engine, 'dtype'>, size: number): Floats =>
  hostArray(dtype, size) as Floats;

/** Distance of a bound above its goal's threshold; −∞ where arithmetic overflowed, which proves nothing. */
export const above = (bound: number, { threshold }: Goal): number =>
  Number.isFinite(bound) ? bound - threshold : Number.NEGATIVE_INFINITY;
