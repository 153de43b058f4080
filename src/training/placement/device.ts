/**
 * θ and the state of the update rule on a device: steps are programs, and what comes back of one are two
 * norms. Between two copies nothing of them is on the host, so what a device loses is what was done since the
 * last.
 */

import { deviceObjective, staysOnDevice } from '../../evaluation/device-objective.js';
import { div, input, maximum, minimum, mul, type Tensor } from '../../graph/index.js';
import { programPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import type { KeptVector } from '../../runtime/pool/task.js';
import type { UpdateGraph } from '../rules/update-rule.js';
import { TINY, vectorNorm } from '../rules/vector-norm.js';
import type { Placement, PlacementOptions } from './placement.js';

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

/**
 * The placement on a pool's device; undefined where it keeps nothing, or where the objective or the rule need
 * the host.
 */
export function devicePlacement({
  pool,
  objective,
  layout,
  estimator,
  rule,
  gradientClip,
}: PlacementOptions): Placement<KeptVector> | undefined {
  const { vectors } = pool;
  const { graph } = rule;
  if (vectors === undefined || graph === undefined || !staysOnDevice(objective)) return undefined;
  const searched = estimator.vectors ?? [];
  let plan: Plan | undefined;
  const arrayNames = (state: unknown) =>
    Object.entries(state as object).flatMap(([name, value]) => (typeof value === 'object' ? [name] : []));
  const arraysOf = (state: KeptState) =>
    Object.entries(state).filter((entry): entry is [string, KeptVector] => typeof entry[1] === 'object');
  const numbersOf = (state: KeptState) =>
    Object.fromEntries(
      Object.entries(state).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
    );
  return {
    onHost: false,
    objective: (batch, scalars, attackKey) =>
      deviceObjective(pool, vectors, objective, layout, batch, scalars, attackKey),
    async begin({ theta, rule }) {
      return {
        theta: await vectors.upload(theta),
        rule: await withArrays(rule, arrayNames(rule), vectors.upload),
      };
    },
    async descend({ theta, rule: state }, gradient, learningRate) {
      const arrays = arraysOf(state as KeptState);
      const numbers = graph.numbers(numbersOf(state as KeptState), learningRate);
      const size = theta.length;
      plan ??= stepPlan(
        graph,
        size,
        gradientClip,
        arrays.map(([name]) => name),
        Object.keys(numbers.inputs),
      );
      const scalars = Object.entries(numbers.inputs).map(([name, value]) => [name, Float32Array.of(value)]);
      const feeds = { θ: theta, gradient, ...Object.fromEntries(arrays), ...Object.fromEntries(scalars) };
      const names = ['θ', ...arrays.map(([name]) => name)];
      const { outputs, kept } = await vectors.compute(
        { plan, feeds },
        Object.fromEntries(names.map((name) => [nextName(name), size])),
      );
      await vectors.drop([theta, gradient, ...arrays.map(([, vector]) => vector)]);
      const next = (name: string) => kept[nextName(name)] as KeptVector;
      return {
        position: {
          theta: next('θ'),
          rule: { ...numbers.state, ...Object.fromEntries(arrays.map(([name]) => [name, next(name)])) },
        },
        gradientNorm: outputs[GRADIENT_NORM]?.[0] as number,
        thetaNorm: outputs[THETA_NORM]?.[0] as number,
      };
    },
    async copy({ theta, rule }) {
      return {
        theta: await vectors.read(theta),
        rule: await withArrays(rule, arrayNames(rule), vectors.read),
      };
    },
    beginSearch: (search) =>
      withArrays(search, searched, (array: Float64Array) => vectors.upload(Float32Array.from(array))),
    copySearch: (search) =>
      withArrays(search, searched, async (vector: KeptVector) =>
        Float64Array.from(await vectors.read(vector)),
      ),
    async end({ theta, rule }, search) {
      const ofSearch = searched.map((name) => (search as Record<string, KeptVector>)[name] as KeptVector);
      await vectors.drop([theta, ...arraysOf(rule as KeptState).map(([, vector]) => vector), ...ofSearch]);
    },
  };
}
