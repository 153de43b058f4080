/**
 * Perturbed sets of parameters evaluated together: one call gives the losses, or the gradients, of many members θ + σ∘z(key).
 *
 * What goes to the device is θ, a key of eight bytes for each perturbation and the batch; z is made there (`runtime/normal-graph`), and only
 * losses, counts and, where they are asked for, gradients come back. This is what keeps a graphics processor busy; the CPU is as fast
 * with one member at a time.
 */
import { add, input, type Lifting, mul, reshape, slice } from '../graph/index.js';
import { parameterInputs } from '../network/network.js';
import type { Objective } from '../objective/objective.js';
import { normalsOf, perturbed } from '../runtime/normal-graph.js';
import type { Plan } from '../runtime/plan.js';
import type { Pool } from '../runtime/pool.js';
import type { Key } from '../runtime/random.js';
import type { Outputs, ParameterSlice, PopulationResult, TaskFeeds } from '../runtime/task.js';
import { keyWords } from '../runtime/threefry-graph.js';

/** What a call gives: values at θ ± σ∘z of each key, all plus before all minus, or gradients at θ + σ∘z. */
export type PopulationKind = 'pairs' | 'gradients';

/** Members of one call with as many keys. */
const membersOf = (kind: PopulationKind, keys: number): number => (kind === 'pairs' ? 2 * keys : keys);

/** Perturbations of a step: of one σ, each with a key of its own. */
export interface Perturbations {
  readonly keys: readonly Key[];
  readonly sigma: number | Float32Array;
}

/** Every parameter of every member, [members, …shape], made from θ [size], σ [] or [size], and the keys. */
function perturbedParameters({ network }: Objective, kind: PopulationKind, keys: number, sigmas: 1 | 'each'): Lifting {
  const parameters = Object.entries(parameterInputs(network));
  const sizes = parameters.map(([, { shape }]) => shape.reduce((a, b) => a * b, 1));
  const size = sizes.reduce((a, b) => a + b, 0);
  const theta = input('θ', [size]);
  const sigma = input('σ', sigmas === 1 ? [] : [size]);
  const words = input('keys', [keys, 2], 'int32');
  const all = kind === 'pairs' ? perturbed(theta, words, sigma) : add(theta, mul(normalsOf(words, size), sigma));
  const members = membersOf(kind, keys);
  let offset = 0;
  const inputs = parameters.map(([name, { shape }], i) => {
    const from = offset;
    offset += sizes[i] as number;
    return [name, reshape(slice(all, 1, from, offset), [members, ...shape])] as const;
  });
  return { members, inputs: new Map(inputs) };
}

const plans = new WeakMap<Objective, Map<string, Plan>>();

/** The plan of an objective for calls of `keys` perturbations; the same one when it is asked for again. */
export function populationPlan(objective: Objective, kind: PopulationKind, keys: number, sigmas: 1 | 'each'): Plan | undefined {
  if (objective.population === undefined || objective.dtype !== 'float32') return undefined;
  const own = plans.get(objective) ?? new Map<string, Plan>();
  plans.set(objective, own);
  const name = `${kind} ${keys} ${sigmas}`;
  const known = own.get(name);
  if (known !== undefined) return known;
  const { value, gradient } = objective.population(perturbedParameters(objective, kind, keys, sigmas));
  const plan = kind === 'pairs' ? value() : gradient?.();
  if (plan !== undefined) own.set(name, plan);
  return plan;
}

/** One member's part of a call: what each micro-batch gave it, and its gradient summed over them if the plan has one. */
export interface MemberResult {
  readonly outputs: readonly Outputs[];
  readonly gradient?: Float32Array;
}

function memberOf({ outputs, gradients }: PopulationResult, layout: readonly ParameterSlice[], member: number): MemberResult {
  const own = outputs.map((all) => Object.fromEntries(Object.entries(all).map(([name, values]) => [name, values.subarray(member, member + 1)])));
  if (gradients.length === 0) return { outputs: own };
  const gradient = new Float32Array(layout.reduce((sum, { size }) => sum + size, 0));
  layout.forEach(({ offset, size }, k) => {
    gradient.set((gradients[k] as Float32Array).subarray(member * size, (member + 1) * size), offset);
  });
  return { outputs: own, gradient };
}

/**
 * The members of all keys, in their order: θ + σ∘z, and for pairs θ − σ∘z. As many at a time as `largest` perturbations. Undefined where
 * the objective has no plan for a population.
 */
export async function evaluateTogether(
  pool: Pool,
  objective: Objective,
  kind: PopulationKind,
  layout: readonly ParameterSlice[],
  theta: Float32Array,
  { keys, sigma }: Perturbations,
  feeds: readonly TaskFeeds[],
  largest: number,
): Promise<{ readonly plus: MemberResult[]; readonly minus: MemberResult[] } | undefined> {
  const size = callSize(keys.length, largest);
  const plan = populationPlan(objective, kind, size, typeof sigma === 'number' ? 1 : 'each');
  if (plan === undefined) return undefined;
  // The last call repeats the last key where keys are fewer than its plan has.
  const calls = Array.from({ length: Math.ceil(keys.length / size) }, (_, c) =>
    Array.from({ length: size }, (_, i) => keys[Math.min(c * size + i, keys.length - 1)] as Key),
  );
  const parameters = { θ: theta, σ: typeof sigma === 'number' ? Float32Array.of(sigma) : sigma };
  const results = await pool.population({ plan, feeds, parameters, populations: calls.map((own) => ({ keys: keyWords(own) })) });
  const members = (first: number) => keys.map((_, i) => memberOf(results[Math.floor(i / size)] as PopulationResult, layout, first + (i % size)));
  return { plus: members(0), minus: kind === 'pairs' ? members(size) : [] };
}

/** Sizes of calls that cover `count` keys: as few as hold `largest` each, and alike, so that one plan serves them with little left over. */
export const callSize = (count: number, largest: number): number => Math.ceil(count / Math.ceil(count / Math.max(1, largest)));
