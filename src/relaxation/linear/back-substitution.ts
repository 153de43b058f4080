/**
 * Back-substitution of linear lower bounds from any node to the input, dense, for many rows of each image at
 * once.
 *
 * A row a of the node's output is bounded from below by replacing, from the last layer to the first, each
 * ReLU or smooth activation f by its lines: a⁺ f(x) ≥ a⁺ (α x + ν) and a⁻ f(x) ≥ a⁻ (λ x + μ), ν = 0 for
 * ReLUs. Coefficients are [features, rows, batch]; an upper bound is the lower bound of −a.
 */
import {
  abs,
  add,
  addAll,
  type FloatType,
  gemm,
  maximum,
  mul,
  relu,
  reshape,
  sub,
  sum,
  type Tensor,
} from '../../graph/index.js';
import { INPUT, type Network, type NetworkNode, type Parameters, weightsOf } from '../../network/network.js';
import type { BoundProblem, Bounds } from '../relaxation.js';
import type { Slopes } from '../slopes.js';
import { boundBothSides } from './both-sides.js';

/** Linear lower bound of rows: coefficients over the input and a constant [1, rows·batch]. */
export interface LinearBound {
  readonly coefficients: Tensor;
  readonly constant: Tensor | undefined;
}

const plus = (a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined =>
  a === undefined ? b : b === undefined ? a : add(a, b);

/**
 * Carries coefficients [features, rows · batch] from the output of ReLU or activation node k to its input: a
 * lower bound of the rows, its constant [1, rows · batch], and `beyond`, coefficients of the output of an
 * earlier node (or the input) where the bound has some.
 */
export type NonlinearStep = (
  node: number,
  a: Tensor,
) => {
  readonly coefficients: Tensor;
  readonly constant: Tensor;
  readonly beyond?: { readonly node: number; readonly coefficients: Tensor } | undefined;
};

/**
 * Carries rows given over the output of `node`, coefficients [features, rows, batch], back to the network's
 * input. `slopes(k)` gives the relaxation of ReLU or activation node k, [features, batch], or [features,
 * rows, batch] where rows have their own.
 */
export function backSubstitute(
  net: Network,
  parameters: Parameters,
  node: number,
  rows: Tensor,
  slopes: (node: number) => Slopes,
): LinearBound {
  const [, count, batch] = rows.shape as [number, number, number];
  return backSubstituteBy(net, parameters, node, rows, (k, a) => throughLines(slopes(k), a, count, batch));
}

/** A lower bound of rows a of an activation's output, [features, count · batch], as rows of its input. */
export function throughLines(
  { lower, lowerIntercept, upper, intercept }: Slopes,
  a: Tensor,
  count: number,
  batch: number,
): ReturnType<NonlinearStep> {
  const features = a.shape[0] as number;
  // One box for all rows: as in `concretize`.
  const flat = batch === 1 && lower.shape.length === 2;
  const wide = (t: Tensor) => (flat || t.shape.length === 3 ? t : reshape(t, [features, 1, batch]));
  const cube = flat ? a : reshape(a, [features, count, batch]);
  const positive = relu(cube);
  const negative = sub(cube, positive);
  const lowered = add(mul(positive, wide(lower)), mul(negative, wide(upper)));
  const above = mul(negative, wide(intercept));
  const offsets = lowerIntercept === undefined ? above : add(above, mul(positive, wide(lowerIntercept)));
  return {
    coefficients: reshape(lowered, [features, count * batch]),
    constant: reshape(sum(offsets, [0]), [1, count * batch]),
  };
}

/** What rows are at a moment: coefficients [features, rows · batch] of the outputs of some nodes, summed. */
export type Front = ReadonlyMap<number, Tensor>;

/**
 * The same with any rule for ReLUs and smooth activations. `visit` sees the coefficients [features, rows ·
 * batch] that arrive at each node's output, each summand by itself where several branches send some, and in
 * the end those at the input. `meet` sees, before each activation is passed, all that the rows then are.
 */
export function backSubstituteBy(
  net: Network,
  parameters: Parameters,
  node: number,
  rows: Tensor,
  through: NonlinearStep,
  visit: (node: number, a: Tensor) => void = () => {},
  meet: (front: Front, constant: Tensor | undefined) => void = () => {},
): LinearBound {
  const [, count, batch] = rows.shape as [number, number, number];
  const columns = count * batch;
  const dtype = rows.dtype as FloatType;
  const pending = new Map<number, Tensor[]>([[node, [reshape(rows, [rows.shape[0] as number, columns])]]]);
  const send = (to: number, a: Tensor) => pending.set(to, [...(pending.get(to) ?? []), a]);
  let offset: Tensor | undefined;
  for (let k = node; k >= 0; k--) {
    const parts = pending.get(k);
    if (parts === undefined) continue;
    for (const part of parts) visit(k, part);
    const a = addAll(parts);
    const { layer, inputs } = net.nodes[k] as NetworkNode;
    const from = inputs[0] as number;
    if (layer.kind === 'affine') {
      const weights = weightsOf(net, k, parameters);
      const bias = layer.bias(weights, dtype);
      if (bias !== undefined) offset = plus(offset, gemm(bias, a, true));
      send(from, layer.adjoint(weights, a));
    } else if (layer.kind === 'join') for (const to of inputs) send(to, a);
    else {
      const others = [...pending].filter(([to]) => to < k);
      meet(new Map([[k, a], ...others.map(([to, some]) => [to, addAll(some)] as const)]), offset);
      const passed = through(k, a);
      offset = plus(offset, passed.constant);
      send(from, passed.coefficients);
      if (passed.beyond) send(passed.beyond.node, passed.beyond.coefficients);
    }
  }
  const arrived = pending.get(INPUT) ?? [];
  for (const part of arrived) visit(INPUT, part);
  return { coefficients: addAll(arrived), constant: offset };
}

/** Minimum of a linear bound over a box, [rows, batch]: a·c − |a|·r + constant. */
export function concretize({ coefficients, constant }: LinearBound, { lower, upper }: Bounds): Tensor {
  const [features, batch] = lower.shape as [number, number];
  const rows = (coefficients.shape[1] as number) / batch;
  // One box for all rows is broadcast along them: with a last axis of one, runtimes would do it number by
  // number.
  const cube = batch === 1 ? coefficients : reshape(coefficients, [features, rows, batch]);
  const wide = (t: Tensor) => (batch === 1 ? mul(t, 0.5) : reshape(mul(t, 0.5), [features, 1, batch]));
  const terms = sub(mul(cube, wide(add(lower, upper))), mul(abs(cube), wide(sub(upper, lower))));
  const value = reshape(sum(terms, [0]), [1, rows * batch]);
  return reshape(constant === undefined ? value : add(value, constant), [rows, batch]);
}

/**
 * Lower bounds of rows of a node's output, [rows, batch]: at the input, and with `at`, bounds of every node's
 * output, the best of those at the output of each activation on the way and at the input.
 */
export function boundBelow(
  { network: net, parameters, box }: Pick<BoundProblem, 'network' | 'parameters' | 'box'>,
  node: number,
  rows: Tensor,
  slopes: (node: number) => Slopes,
  at?: (node: number) => Bounds,
): Tensor {
  const [, count, batch] = rows.shape as [number, number, number];
  const through: NonlinearStep = (k, a) => throughLines(slopes(k), a, count, batch);
  const found: Tensor[] = [];
  const meet = (front: Front, constant: Tensor | undefined) => {
    if (at === undefined) return;
    const parts = [...front].map(([k, coefficients], i) =>
      concretize({ coefficients, constant: i === 0 ? constant : undefined }, at(k)),
    );
    found.push(addAll(parts));
  };
  const bound = backSubstituteBy(net, parameters, node, rows, through, undefined, meet);
  return [...found, concretize(bound, box)].reduce((a, b) => maximum(a, b));
}

/** Both bounds of every feature of a node by dense back-substitution. With `at`, as for `boundBelow`. */
export const boundNode = (
  problem: Pick<BoundProblem, 'network' | 'parameters' | 'box' | 'rowFloats'>,
  node: number,
  slopes: (node: number) => Slopes,
  at?: (node: number) => Bounds,
): Bounds => boundBothSides(problem, node, (rows) => boundBelow(problem, node, rows, slopes, at));
