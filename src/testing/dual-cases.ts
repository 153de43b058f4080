/**
 * Random cases of β-CROWN's bound, in float64: a network on a box with CROWN's bounds of its neurons, points
 * of the box, and multipliers with decisions.
 */
import { input, mul } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { forward, type Network, parameterInputs } from '../network/network.js';
import { crownBounds } from '../relaxation/linear/crown.js';
import { isNonlinear } from '../relaxation/linear/nonlinear.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { type DualShape, dualPlan } from '../verification/branch-and-bound/dual-program.js';
import { nodeArray } from '../verification/branch-and-bound/relu-lines.js';
import { boundProblem, type Feeds, randomBox, runStages } from './bound-programs.js';
import { normalNumbers, uniformNumbers } from './numbers.js';
import { randomParameters } from './random-networks.js';

type Doubles = Readonly<Record<string, Float64Array>>;

export interface DualCase {
  readonly net: Network;
  /** Parameters, the box, and the bounds of what each ReLU and activation reads. */
  readonly region: Doubles;
  /** Points of the box, [inputs, count]. */
  readonly points: Float64Array;
  /** Values of every node there, [features, count]. */
  readonly values: readonly Float64Array[];
  readonly count: number;
}

/** Values of every node at points [inputs, count]. */
export async function nodeValues(
  net: Network,
  parameters: Feeds,
  points: Float64Array,
): Promise<Float64Array[]> {
  const count = points.length / featuresOf(net.input);
  const values = forward(
    net,
    parameterInputs(net, 'float64'),
    input('x', [featuresOf(net.input), count], 'float64'),
  );
  const outputs = Object.fromEntries(values.map((value, k) => [`${k}`, mul(value, 1)]));
  const [made] = await runStages([{ kind: 'whole', outputs }], [{ ...parameters, x: points }]);
  return values.map((_, k) => made?.outputs[`${k}`] as Float64Array);
}

/** Random parameters, a box of radii up to ε, and `count` points of it, every other one a corner. */
export async function dualCase(net: Network, seed: number, epsilon: number, count = 200): Promise<DualCase> {
  const { lower, upper } = randomBox(seed, featuresOf(net.input), 1, epsilon);
  const parameters = randomParameters(net, seed);
  const problem = boundProblem(net, 1);
  const { stages, before } = crownBounds(problem);
  const nonlinear = net.nodes.flatMap(({ layer }, k) => (isNonlinear(layer) ? [k] : []));
  const outputs = Object.fromEntries(
    nonlinear.flatMap((k) =>
      (['lower', 'upper'] as const).map((side) => [nodeArray(side, k), mul(before(k)[side], 1)] as const),
    ),
  );
  const found =
    nonlinear.length > 0
      ? (await runStages([...stages, { kind: 'whole', outputs }], [{ ...parameters, lower, upper }]))[0]
          ?.outputs
      : {};
  const points = uniformNumbers(`points ${seed}`, lower.length * count).map((u, at) => {
    const i = Math.floor(at / count);
    return (
      (lower[i] as number) +
      (at % 2 === 0 ? u : Math.round(u)) * ((upper[i] as number) - (lower[i] as number))
    );
  });
  const region = { ...parameters, 'box:lower': lower, 'box:upper': upper, ...(found as Doubles) };
  return { net, region, points, count, values: await nodeValues(net, parameters, points) };
}

/** ReLU nodes of a network. */
export const relusOf = ({ nodes }: Network): number[] =>
  nodes.flatMap(({ layer }, k) => (layer.kind === 'relu' ? [k] : []));

/** What ReLU k reads at the points. */
export const readBy = ({ net, values, points }: DualCase, node: number): Float64Array =>
  values[net.nodes[node]?.inputs[0] as number] ?? points;

/**
 * Multipliers of n columns: α ∈ [0, 1], and with `share` above 0 that share of the unstable ReLUs decided as
 * they are at one of the points, another for each column, with β ≥ 0.
 */
export function randomMultipliers(of: DualCase, columns: number, seed: number, share: number): Doubles {
  const arrays: Record<string, Float64Array> = {};
  for (const node of relusOf(of.net)) {
    const [lower, upper] = [
      of.region[nodeArray('lower', node)] as Float64Array,
      of.region[nodeArray('upper', node)] as Float64Array,
    ];
    const reads = readBy(of, node);
    const chance = uniformNumbers(`decided ${node} ${seed}`, lower.length * columns);
    const sign = chance.map((u, at) => {
      const [i, column] = [Math.floor(at / columns), at % columns];
      if (!(u < share && (lower[i] as number) < 0 && (upper[i] as number) > 0)) return 0;
      return (reads[i * of.count + column] as number) < 0 ? -1 : 1;
    });
    const alpha = uniformNumbers(`alpha ${node} ${seed}`, sign.length);
    const beta = normalNumbers(`beta ${node} ${seed}`, sign.length);
    arrays[nodeArray('p', node)] = sign.map((s, at) =>
      s === 0 ? (alpha[at] as number) : Math.abs(beta[at] as number),
    );
    if (share > 0) arrays[nodeArray('sign', node)] = sign;
  }
  return arrays;
}

/** Random rows [outputs, n] over a network's outputs. */
export const randomRows = (net: Network, columns: number, seed: number): Float64Array =>
  normalNumbers(`rows ${seed}`, net.classes * columns);

/** Runs β-CROWN's programs; a threshold out of reach unless one is given. */
export async function runDual(
  of: DualCase,
  shape: Omit<DualShape, 'target'> & { target?: number },
  feeds: Feeds,
): Promise<Doubles> {
  const plan = dualPlan(of.net, { target: of.net.nodes.length - 1, ...shape }, 'float64');
  const executor = createExecutor();
  try {
    const { outputs } = await executor.run(plan, {
      threshold: new Float64Array(shape.columns).fill(1e30),
      ...of.region,
      ...feeds,
    });
    return outputs as Doubles;
  } finally {
    await executor.close();
  }
}
