/**
 * What a network begins with may move each input by itself, as normalisation does: x ↦ w∘x + b, features
 * selected or left out. A box is a box behind it, so signs are searched there: the margin kernel knows
 * convolutions, linear layers and ReLUs, and the first convolution's hulls are over what it reads.
 *
 * The box behind is computed in float64 and drawn outwards by what that may be off. Thresholds stay those of
 * the whole network: its running error has what the normalisation rounds.
 */
import { abs, add, constant, evaluate, maximum, mul, sub, type Tensor } from '../../graph/index.js';
import { type AffineLayer, featuresOf, type Weights } from '../../network/layers/layer.js';
import { type Network, type NetworkNode, parameterName } from '../../network/network.js';
import { networkBehind } from '../../relaxation/front.js';
import type { Box } from '../property/property.js';

/** Arithmetic of a layer in float64 may be off by this much of its terms, and by what underflows. */
const ROUNDING = 2 ** -50;
const UNDERFLOW = 2 ** -1000;

/** A network's front. */
export interface Front {
  /** The network behind it. */
  readonly network: Network;
  /** How many layers it has. */
  readonly layers: number;
  /** A box that what the front makes of a box lies in. */
  boxOf(box: Box): Box;
  /** An input that the front makes a point of, but for rounding. */
  pointOf(behind: ArrayLike<number>): Float32Array;
}

interface Passed {
  readonly layer: AffineLayer;
  readonly weights: Weights;
}

/**
 * The front of a network; undefined where it has none.
 * @param numbers parameters by name, in float64
 */
export function frontOf(net: Network, numbers: (name: string) => Float64Array): Front | undefined {
  const passed: Passed[] = [];
  let network = net;
  for (let next = networkBehind(net); next !== undefined; next = networkBehind(network)) {
    const layer = (network.nodes[0] as NetworkNode).layer as AffineLayer;
    const weights = layer.parameters.map(({ name, shape }) => [
      name,
      constant(numbers(parameterName(passed.length, name)), shape, 'float64'),
    ]);
    passed.push({ layer, weights: Object.fromEntries(weights) });
    network = next;
  }
  if (passed.length === 0) return undefined;
  return {
    ...{ network, layers: passed.length },
    boxOf: (box) => passed.reduce(through, box),
    pointOf: (behind) => Float32Array.from(passed.reduceRight(backThrough, Float64Array.from(behind))),
  };
}

const column = (values: Float64Array): Tensor => constant(values, [values.length, 1], 'float64');

/** What a layer makes of a box, drawn outwards. */
function through({ lower, upper }: Box, { layer, weights }: Passed): Box {
  const [l, u] = [column(lower), column(upper)];
  const bias = layer.bias(weights, 'float64');
  const linear = layer.linear(layer.absolute(weights), maximum(abs(l), abs(u)));
  const terms = bias ? add(linear, abs(bias)) : linear;
  const [one, other, sizes] = evaluate(
    [layer.apply(weights, l), layer.apply(weights, u), add(mul(terms, ROUNDING), UNDERFLOW)],
    {},
  ) as [Float64Array, Float64Array, Float64Array];
  return {
    lower: one.map((value, i) => Math.min(value, other[i] as number) - (sizes[i] as number)),
    upper: one.map((value, i) => Math.max(value, other[i] as number) + (sizes[i] as number)),
  };
}

/** x = Lᵀ(y − b)/LᵀL1: each input is read once at most; 0 where it is not. */
function backThrough(y: Float64Array, { layer, weights }: Passed): Float64Array {
  const bias = layer.bias(weights, 'float64');
  const ones = column(new Float64Array(featuresOf(layer.input)).fill(1));
  const [moved, squares] = evaluate(
    [
      layer.adjoint(weights, bias ? sub(column(y), bias) : column(y)),
      layer.adjoint(weights, layer.linear(weights, ones)),
    ],
    {},
  ) as [Float64Array, Float64Array];
  return moved.map((value, i) => (squares[i] === 0 ? 0 : value / (squares[i] as number)));
}
