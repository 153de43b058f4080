/**
 * Perturbed sets of parameters evaluated together: one call gives the losses, or the gradients, of many
 * members θ + σ∘z(key).
 *
 * What goes to the device is θ, a key of eight bytes for each perturbation and the batch, once a step; z is
 * made there (`runtime/weighted-normals`), and only losses, counts and, where they are asked for, gradients
 * come back. This is what keeps a graphics processor busy; the CPU is as fast with one member at a time.
 */
import { add, input, type Lifting, mul, reshape, slice } from '../graph/index.js';
import { remembered } from '../graph/remembered.js';
import { parameterInputs } from '../network/network.js';
import { parameterCount, parameterLayout } from '../network/parameters.js';
import type { Objective } from '../objective/objective.js';
import { withSmallerChunk } from '../runtime/device/halving.js';
import { planFootprint } from '../runtime/plan/memory.js';
import type { Plan } from '../runtime/plan/plan.js';
import { MOST_KEYS, type NormalPrograms, normalPrograms } from '../runtime/pool/normal-programs.js';
import type { Outputs, ParameterSlice, PopulationResult } from '../runtime/pool/task.js';
import type { Key } from '../runtime/random/keys.js';
import { antithetic } from '../runtime/random/normal-graph.js';
import type { GradientPerturbations, Perturbations } from './batch-objective.js';
import { formOf, type SigmaForm, sigmaTensor } from './sigma.js';

/**
 * What a call gives: values at θ ± σ∘z of each key, all plus before all minus; gradients at θ + σ∘z; or
 * gradients at θ ± σ∘z in the same order as values.
 */
export type PopulationKind = 'pairs' | 'gradients' | 'gradient-pairs';

/** The kind that gives the points of a mean gradient. */
export const gradientKind = ({ antithetic }: GradientPerturbations): PopulationKind =>
  antithetic ? 'gradient-pairs' : 'gradients';

/** Members of one call with as many keys. */
export const membersOf = (kind: PopulationKind, keys: number): number =>
  kind === 'gradients' ? keys : 2 * keys;

/** What calls may take of a device's memory. */
export interface CallLimits {
  /** Bytes of all that is there at once. */
  readonly memory: number;
  /** Bytes of one array. */
  readonly array: number;
  /** Whether each program keeps its memory to itself. */
  readonly perProgram?: boolean;
  /** Keys of one call, whatever the memory. */
  readonly keys?: number;
}

/** How the perturbations of a step are cut into calls. */
export interface Calls {
  readonly plan: Plan;
  readonly programs: NormalPrograms;
}

const sizeOfTheta = ({ network }: Objective): number => parameterCount(parameterLayout(network));

/** Every parameter of every member, [members, …shape], made from θ [size], σ and z [keys, size]. */
function perturbedParameters(
  objective: Objective,
  kind: PopulationKind,
  keys: number,
  form: SigmaForm,
): Lifting {
  const size = sizeOfTheta(objective);
  const theta = input('θ', [size]);
  const sigma = sigmaTensor(form, size);
  const z = input('z', [keys, size]);
  const all = kind === 'gradients' ? add(theta, mul(z, sigma)) : antithetic(theta, z, sigma);
  const members = membersOf(kind, keys);
  let offset = 0;
  const inputs = Object.entries(parameterInputs(objective.network)).map(([name, { shape }]) => {
    const from = offset;
    offset += shape.reduce((a, b) => a * b, 1);
    return [name, reshape(slice(all, 1, from, offset), [members, ...shape])] as const;
  });
  return { members, inputs: new Map(inputs) };
}

/**
 * Sizes of calls that cover `count` keys: as few as hold `largest` each, and alike, so that one plan serves
 * them with little left over.
 */
export const callSize = (count: number, largest: number): number =>
  Math.ceil(count / Math.ceil(count / Math.max(1, largest)));

/** Shares of the memory for calls and for making z. The rest is the runtime's. */
const CALL_SHARE = 0.6;
const NORMALS_SHARE = 0.25;

/** Whether programs can evaluate many θ at once: no solver has a part in it, and float32 is enough. */
export const evaluatesPopulations = ({ population, dtype }: Objective): boolean =>
  population !== undefined && dtype === 'float32';

function newCalls(
  objective: Objective,
  kind: PopulationKind,
  count: number,
  form: SigmaForm,
  limits: CallLimits,
): Calls {
  const alone = kind === 'pairs' ? objective.value : objective.gradient;
  if (!evaluatesPopulations(objective) || alone === undefined || objective.population === undefined)
    throw new TypeError(`population: expected an objective of ${kind} without a solver and in float32`);
  const { memory, array, perProgram, keys: most = MOST_KEYS } = limits;
  const fitting = Math.floor(
    (CALL_SHARE * memory) / membersOf(kind, 1) / planFootprint(alone, perProgram).peak,
  );
  let keys = callSize(count, Math.max(1, Math.min(most, fitting, MOST_KEYS)));
  for (;;) {
    const { value, gradient } = objective.population(perturbedParameters(objective, kind, keys, form));
    const plan = (kind === 'pairs' ? value : gradient)?.() as Plan;
    const { peak, largest } = planFootprint(plan, perProgram);
    if (keys === 1 || (peak <= CALL_SHARE * memory && largest <= array))
      return {
        plan,
        programs: normalPrograms(
          keys,
          sizeOfTheta(objective),
          Math.ceil(count / keys),
          NORMALS_SHARE * memory,
        ),
      };
    keys = callSize(count, keys >> 1);
  }
}

const known = remembered<Objective, Calls>();

/**
 * How perturbations of an objective's parameters are cut into calls within the limits; the same plans when
 * asked for again.
 * @throws TypeError for an objective that evaluates no populations
 */
export function callsFor(
  objective: Objective,
  kind: PopulationKind,
  { keys, sigma }: Perturbations,
  limits: CallLimits,
): Calls {
  const count = keys.length;
  const form = formOf(sigma);
  const name = [
    kind,
    count,
    JSON.stringify(form),
    limits.memory,
    limits.array,
    limits.perProgram,
    limits.keys,
  ].join();
  return known(objective, name, () => newCalls(objective, kind, count, form, limits));
}

/** Keys of a call that a device's memory did hold, where it did not hold as many as were planned. */
const fewerKeys = new WeakMap<Objective, number>();

export interface CallsWanted {
  readonly objective: Objective;
  readonly kind: PopulationKind;
  readonly perturbations: Perturbations;
  readonly limits: CallLimits;
}

/**
 * What `work` makes of calls within the limits and, where a device's memory does not hold them, of calls half
 * as large, which from then on are taken. @throws DeviceError
 */
export async function inCalls<Result>(
  { objective, kind, perturbations, limits }: CallsWanted,
  work: (calls: Calls) => Promise<Result>,
): Promise<{ readonly calls: Calls; readonly result: Result }> {
  const callsOf = (keys: number) => callsFor(objective, kind, perturbations, { ...limits, keys });
  const planned = callsOf(Math.min(limits.keys ?? MOST_KEYS, fewerKeys.get(objective) ?? MOST_KEYS));
  const most = planned.programs.keys;
  const taken = (keys: number) => (keys === most ? planned : callsOf(keys));
  const { result, members } = await withSmallerChunk(most, (keys) => work(taken(keys)));
  if (members < most) fewerKeys.set(objective, members);
  return { calls: taken(members), result };
}

/** Keys of each call; the last one repeats the last key where there are fewer left. */
export const cut = (keys: readonly Key[], size: number): Key[][] =>
  Array.from({ length: Math.ceil(keys.length / size) }, (_, c) =>
    Array.from({ length: size }, (_, i) => keys[Math.min(c * size + i, keys.length - 1)] as Key),
  );

/** Weights of the keys of each call; keys that are repeated weigh nothing. */
export const cutWeights = (weights: Float64Array, size: number): Float32Array[] =>
  Array.from({ length: Math.ceil(weights.length / size) }, (_, c) => {
    const own = new Float32Array(size);
    own.set(weights.subarray(c * size, (c + 1) * size));
    return own;
  });

/**
 * One member's part of a call: what each micro-batch gave it, and its gradient summed over them if the plan
 * has one.
 */
export interface MemberResult {
  readonly outputs: readonly Outputs[];
  readonly gradient?: Float32Array;
}

function memberOf(
  { outputs, gradients }: PopulationResult,
  layout: readonly ParameterSlice[],
  member: number,
): MemberResult {
  const own = outputs.map((all) =>
    Object.fromEntries(
      Object.entries(all).map(([name, values]) => [name, values.subarray(member, member + 1)]),
    ),
  );
  if (gradients.length === 0) return { outputs: own };
  const gradient = new Float32Array(parameterCount(layout));
  layout.forEach(({ offset, size }, k) => {
    gradient.set((gradients[k] as Float32Array).subarray(member * size, (member + 1) * size), offset);
  });
  return { outputs: own, gradient };
}

/**
 * The members of so many keys, `size` of them a call: those of θ + σ∘z and, where there are pairs, those of θ
 * − σ∘z.
 */
export function membersOfCalls(
  results: readonly PopulationResult[],
  layout: readonly ParameterSlice[],
  keys: number,
  size: number,
) {
  const members = (first: number) =>
    Array.from({ length: keys }, (_, i) =>
      memberOf(results[Math.floor(i / size)] as PopulationResult, layout, first + (i % size)),
    );
  const pairs = (results[0]?.outputs[0]?.loss?.length ?? 0) > size;
  return { plus: members(0), minus: pairs ? members(size) : [] };
}
