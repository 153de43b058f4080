/**
 * The context that all of a verification shares: one network with θ in shared memory, the pool that
 * computes, the model that counterexamples are checked with, compiled plans by name.
 */

import type { HostData } from '../../graph/index.js';
import { input, transpose } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import { logits, parameterInputs } from '../../network/network.js';
import {
  flatten,
  type ParameterArrays,
  type ParameterSlot,
  parameterLayout,
} from '../../network/parameters.js';
import type { Feeds } from '../../runtime/execution/session.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import type { Pool } from '../../runtime/pool/pool.js';
import { deriveKey, type Key, keyOf } from '../../runtime/random/keys.js';
import { inSharedMemory } from '../../runtime/shared-memory.js';
import type { Evaluate } from './counterexample.js';

export interface VerificationContext {
  readonly network: Network;
  readonly pool: Pool;
  /** The network's parameters, flat, in shared memory. */
  readonly theta: Float32Array;
  /** Parameters that float32 does not hold, for proofs in float64. */
  readonly exact?: Readonly<Record<string, Float64Array>>;
  readonly layout: readonly ParameterSlot[];
  readonly evaluate: Evaluate;
  /** Of the attacks. */
  readonly key: Key;
  readonly signal?: AbortSignal;
  /** The plan of a name, compiled when first asked for. */
  readonly plan: PlanStore;
  /** Outputs of a plan by name, at θ. */
  run(plan: Plan, feeds: Feeds): Promise<Readonly<Record<string, HostData>>>;
}

/** Keeps plans by name: one network needs few, and each is compiled once by each worker. */
export type PlanStore = (name: string, compile: () => Plan) => Plan;

export function planStore(): PlanStore {
  const plans = new Map<string, Plan>();
  return (name, compile) => {
    const plan = plans.get(name) ?? compile();
    plans.set(name, plan);
    return plan;
  };
}

export interface ContextOptions {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  /** Those that float32 does not hold, in float64. */
  readonly exact?: Readonly<Record<string, Float64Array>>;
  readonly pool: Pool;
  /** Outputs of the model that counterexamples are to be counterexamples of (default: the network's). */
  readonly evaluate?: Evaluate;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Plans that are known (default: none). */
  readonly plans?: PlanStore;
}

/** @throws RangeError if parameters are missing or of another size than the network's */
export function createContext({
  network,
  parameters,
  exact,
  pool,
  evaluate,
  seed = 0,
  signal,
  plans = planStore(),
}: ContextOptions): VerificationContext {
  const layout = parameterLayout(network);
  const theta = inSharedMemory(flatten(parameters, layout));
  const plan = plans;
  const run: VerificationContext['run'] = async (plan, feeds) =>
    (await pool.run({ plan, feeds, theta, layout })).outputs;
  return {
    network,
    pool,
    theta,
    exact,
    layout,
    evaluate:
      evaluate ??
      (async (x) =>
        (
          await run(
            plan('outputs', () => outputPlan(network)),
            { x },
          )
        ).y as Float32Array),
    key: deriveKey(keyOf(seed), 0, 0),
    signal,
    plan,
    run,
  };
}

type Numbers = Pick<VerificationContext, 'layout' | 'theta' | 'exact'>;

/** A parameter in float64, as the model's file has it. */
export function numbersOf({ layout, theta, exact }: Numbers, name: string): Float64Array {
  const { offset, size } = layout.find((slot) => slot.name === name) as ParameterSlot;
  return exact?.[name] ?? Float64Array.from(theta.subarray(offset, offset + size));
}

/** All of them, in shared memory. */
export const doublesOf = (numbers: Numbers): Readonly<Record<string, Float64Array>> =>
  Object.fromEntries(numbers.layout.map(({ name }) => [name, inSharedMemory(numbersOf(numbers, name))]));

/** (parameters, `x` [1, inputs]) → `y` [outputs, 1]. */
function outputPlan(network: Network): Plan {
  const x = transpose(input('x', [1, featuresOf(network.input)]));
  return createPlan([{ kind: 'whole', outputs: { y: logits(network, parameterInputs(network), x) } }]);
}
