/** Where branch and bound computes: one network, a pool, a deadline. */
import { type FloatType, type HostData, hostArray } from '../../graph/index.js';
import type { Network } from '../../network/network.js';
import type { Feeds } from '../../runtime/execution/session.js';
import type { Plan } from '../../runtime/plan/plan.js';

export type Floats = Float32Array | Float64Array;

export interface Engine {
  readonly network: Network;
  /**
   * float64: every bound is moved by what rounding can do to it (`rounding-error.ts`), and is a proof where
   * it is positive.
   */
  readonly dtype: FloatType;
  /** How many plans run at once. */
  readonly threads: number;
  /** Columns of a program, at most, where they should not be those that suit the CPU. */
  readonly columns?: number;
  /** Outputs of a plan by name, at the network's parameters. */
  run(plan: Plan, feeds: Feeds): Promise<Readonly<Record<string, HostData>>>;
  /**
   * The plan of a name, made when first asked for: one network needs few, and each is compiled once by each
   * worker.
   */
  plan(name: string, make: () => Plan): Plan;
  /** Whether the time is over or the caller has had enough. */
  expired(): boolean;
}

/** Zeros of the engine's type. */
export const floats = ({ dtype }: Pick<Engine, 'dtype'>, size: number): Floats =>
  hostArray(dtype, size) as Floats;

/** Keeps plans by name. */
export function planStore(): Engine['plan'] {
  const plans = new Map<string, Plan>();
  return (name, make) => {
    const plan = plans.get(name) ?? make();
    plans.set(name, plan);
    return plan;
  };
}
