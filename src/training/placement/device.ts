/**
 * θ and the state of the update rule on a device: steps are programs, and what comes back of one are two
 * norms. Between two copies nothing of them is on the host, so what a device loses is what was done since the
 * last.
 */
import type { PooledBatch } from '../../evaluation/batch-feeds.js';
import { evaluatedBatch } from '../../evaluation/on-batch.js';
import { evaluatesPopulations } from '../../evaluation/population.js';
import { ResidentObjective } from '../../evaluation/resident.js';
import { div, input, maximum, minimum, mul, type Tensor } from '../../graph/index.js';
import type { Objective, ObjectiveScalars } from '../../objective/objective.js';
import { programPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import type { PoolVectors } from '../../runtime/pool/pool.js';
import type { KeptVector } from '../../runtime/pool/task.js';
import type { Key } from '../../runtime/random/keys.js';
import type { UpdateGraph } from '../rules/update-rule.js';
import { TINY, vectorNorm } from '../rules/vector-norm.js';
import type { Descent, HostPosition, Placement, PlacementOptions, Position } from './placement.js';

const nextName = (name: string): string => `next ${name}`;
const GRADIENT_NORM = 'norm of the gradient';
const THETA_NORM = 'norm of θ';

/** The state of a rule on the device: its numbers, and vectors in place of its arrays. */
type KeptState = Readonly<Record<string, number | KeptVector>>;

/**
 * A state with arrays of it replaced by what `convert` makes of them; the state itself where none is named.
 */
async function withArrays<From, To>(
  state: unknown,
  names: readonly string[],
  convert: (array: From) => Promise<To>,
): Promise<unknown> {
  if (names.length === 0) return state;
  const converted: Record<string, To> = {};
  for (const name of names) converted[name] = await convert((state as Record<string, From>)[name] as From);
  return { ...(state as object), ...converted };
}

/**
 * Clipping and the rule's step on vectors of one length. `arrays` and `inputs` name what the rule takes
 * beside θ and the gradient.
 */
function stepPlan(
  graph: UpdateGraph,
  size: number,
  gradientClip: number,
  arrays: readonly string[],
  inputs: readonly string[],
): Plan {
  const vector = (name: string) => input(name, [size]);
  const named = (names: readonly string[], make: (name: string) => Tensor) =>
    Object.fromEntries(names.map((name) => [name, make(name)]));
  const [theta, gradient] = [vector('θ'), vector('gradient')];
  const gradientNorm = vectorNorm(gradient);
  const clip = minimum(div(gradientClip, maximum(gradientNorm, TINY)), 1);
  const clipped = gradientClip > 0 ? mul(gradient, clip) : gradient;
  const step = graph.step(
    theta,
    clipped,
    named(arrays, vector),
    named(inputs, (name) => input(name, [])),
  );
  const next = Object.entries({ θ: step.theta, ...step.arrays }).map(
    ([name, x]) => [nextName(name), x] as const,
  );
  const outputs = {
    ...Object.fromEntries(next),
    [GRADIENT_NORM]: gradientNorm,
    [THETA_NORM]: vectorNorm(step.theta),
  };
  return programPlan(outputs);
}

/** Names of the arrays of a state of an update rule. */
const arrayNames = (state: unknown): string[] =>
  Object.entries(state as object).flatMap(([name, value]) => (typeof value === 'object' ? [name] : []));

const arraysOf = (state: KeptState): [string, KeptVector][] =>
  Object.entries(state).filter((entry): entry is [string, KeptVector] => typeof entry[1] === 'object');

const numbersOf = (state: KeptState): Record<string, number> =>
  Object.fromEntries(
    Object.entries(state).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );

/** θ and the rule's arrays on the device. */
interface KeptPosition extends Position {
  readonly theta: KeptVector;
}

class DevicePlacement implements Placement {
  readonly onHost = false;
  private plan: Plan | undefined;
  private readonly searched: readonly string[];

  constructor(
    private readonly options: PlacementOptions,
    private readonly vectors: PoolVectors,
    private readonly graph: UpdateGraph,
  ) {
    this.searched = options.estimator.vectors ?? [];
  }

  objective(objective: Objective, batch: PooledBatch, scalars: ObjectiveScalars, attackKey: Key) {
    const { pool, layout } = this.options;
    return new ResidentObjective(
      pool,
      this.vectors,
      evaluatedBatch(objective, layout, batch, scalars, attackKey),
    );
  }

  async begin({ theta, rule }: HostPosition): Promise<KeptPosition> {
    return {
      theta: await this.vectors.upload(theta),
      rule: await withArrays(rule, arrayNames(rule), this.vectors.upload),
    };
  }

  async descend(from: KeptPosition, gradient: KeptVector, learningRate: number): Promise<Descent> {
    const state = from.rule as KeptState;
    const { theta } = from;
    const { vectors, graph } = this;
    const arrays = arraysOf(state);
    const names = arrays.map(([name]) => name);
    const numbers = graph.numbers(numbersOf(state), learningRate);
    const inputs = Object.keys(numbers.inputs);
    this.plan ??= stepPlan(graph, theta.length, this.options.gradientClip, names, inputs);
    const scalars = Object.entries(numbers.inputs).map(([name, value]) => [name, Float32Array.of(value)]);
    const feeds = { θ: theta, gradient, ...Object.fromEntries(arrays), ...Object.fromEntries(scalars) };
    const { outputs, kept } = await vectors.compute(
      { plan: this.plan, feeds },
      Object.fromEntries(['θ', ...names].map((name) => [nextName(name), theta.length])),
    );
    await vectors.drop([theta, gradient, ...arrays.map(([, vector]) => vector)]);
    const next = (name: string) => kept[nextName(name)] as KeptVector;
    return {
      position: {
        theta: next('θ'),
        rule: { ...numbers.state, ...Object.fromEntries(names.map((name) => [name, next(name)])) },
      },
      gradientNorm: outputs[GRADIENT_NORM]?.[0] as number,
      thetaNorm: outputs[THETA_NORM]?.[0] as number,
    };
  }

  async copy({ theta, rule }: KeptPosition): Promise<HostPosition> {
    return {
      theta: await this.vectors.read(theta),
      rule: await withArrays(rule, arrayNames(rule), this.vectors.read),
    };
  }

  beginSearch(search: unknown) {
    return withArrays(search, this.searched, (array: Float64Array) =>
      this.vectors.upload(Float32Array.from(array)),
    );
  }

  copySearch(search: unknown) {
    return withArrays(search, this.searched, async (vector: KeptVector) =>
      Float64Array.from(await this.vectors.read(vector)),
    );
  }

  async end({ theta, rule }: KeptPosition, search: unknown) {
    const ofSearch = this.searched.map((name) => (search as Record<string, KeptVector>)[name] as KeptVector);
    const ofRule = arraysOf(rule as KeptState).map(([, vector]) => vector);
    await this.vectors.drop([theta, ...ofRule, ...ofSearch]);
  }
}

/**
 * The placement on a pool's device; undefined where it keeps nothing, or where the objective, the rule or
 * the estimator need the host.
 */
export function devicePlacement(options: PlacementOptions): Placement | undefined {
  const { vectors } = options.pool;
  const { graph } = options.rule;
  const { objective, estimator } = options;
  if (vectors === undefined || graph === undefined || !evaluatesPopulations(objective) || estimator.needsHost)
    return undefined;
  return new DevicePlacement(options, vectors, graph);
}
