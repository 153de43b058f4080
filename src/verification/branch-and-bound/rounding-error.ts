/**
 * What rounding can do to a bound, as a number: an a-priori error bound of back-substitution and of intervals
 * (Higham 2002, chapter 3).
 *
 * A sum of m products computed in any order, fused or not, is off by at most γ_m Σ|terms|, γ_m ≈ m·2⁻⁵³.
 * Back-substitution replaces a·y(x), y = W x + b, by (Wᵀa)·x + a·b: with S = |W| X + |b| and X ≥ |x| of all
 * inputs of the box, all errors made there come to at most
 *
 *   (m + 16 + N) 2⁻⁵³ |a|·S,
 *
 * m the larger of the layer's widths and N the network's nodes (whose constants are added up). Lines of
 * ReLUs, computed from l and u, are off by few units of |a|·max(|l|, |u|), which stands for S there.
 * Everything is counted twice, for the rounding of the error bound itself and of folded weights.
 *
 * Products that underflow are off by 2⁻¹⁰⁷⁵ each, or by 2⁻¹⁰²² where a processor has no subnormal numbers:
 * an absolute term covers them, τ · (1 + ΣX) for each layer. What overflows makes the error infinite or NaN,
 * and neither is a proof.
 */
import {
  abs,
  add,
  addAll,
  type FloatType,
  maximum,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
} from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { type Network, type NetworkNode, type Parameters, weightsOf } from '../../network/network.js';
import { intervalNode } from '../../relaxation/interval.js';
import { isNonlinear } from '../../relaxation/linear/nonlinear.js';
import type { Bounds } from '../../relaxation/relaxation.js';

/** Unit roundoff, twice. */
const UNIT: Readonly<Record<FloatType, number>> = { float32: 2 ** -23, float64: 2 ** -52 };
/** τ, above what all products of a layer lose to underflow. */
const UNDERFLOW: Readonly<Record<FloatType, number>> = { float32: 2 ** -40, float64: 2 ** -450 };
/**
 * Least size of a layer's terms: 17 units of it are above 1e-30, the width below which lines of ReLUs are too
 * low (`slopes.ts`), and above what their intercepts lose to underflow.
 */
const LEAST_SIZE = 2 ** -50;
/** Values and lines of smooth activations are at most this large beside what they read. */
const SMOOTH = 2;

/**
 * S of every node, [features, batch], given the box and what is known of the inputs of the nonlinear nodes.
 */
export function magnitudes(
  net: Network,
  parameters: Parameters,
  box: Bounds,
  before: (nonlinear: number) => Bounds,
): (node: number) => Tensor {
  const made = new Map<number, Tensor>();
  const largest = ({ lower, upper }: Bounds) => maximum(abs(lower), abs(upper));
  const at = (node: number): Tensor => {
    const known = made.get(node);
    if (known !== undefined) return known;
    const { layer, inputs } = net.nodes[node] ?? { layer: undefined, inputs: [] };
    let size: Tensor;
    if (layer === undefined) size = largest(box);
    else if (layer.kind === 'affine') {
      const weights = weightsOf(net, node, parameters);
      const bias = layer.bias(weights, box.lower.dtype as FloatType);
      const linear = layer.linear(layer.absolute(weights), at(inputs[0] as number));
      size = bias === undefined ? linear : add(linear, abs(bias));
    } else if (layer.kind === 'join') size = addAll(inputs.map(at));
    else size = layer.kind === 'activation' ? add(largest(before(node)), SMOOTH) : largest(before(node));
    size = add(size, LEAST_SIZE);
    made.set(node, size);
    return size;
  };
  return at;
}

/** (m + 16 + N) times the unit, of one node. */
function factor(net: Network, node: number, { dtype }: Tensor): number {
  const { layer } = net.nodes[node] ?? { layer: undefined };
  const width =
    layer === undefined ? featuresOf(net.input) : Math.max(featuresOf(layer.input), featuresOf(layer.output));
  return (width + 16 + net.nodes.length) * UNIT[dtype as FloatType];
}

/**
 * Collects the error of a back-substitution of `count` rows for each of `batch` boxes: give `visit` to
 * `backSubstituteBy`, then take `total`, [1, count · batch]. `with` is the error so far and that of rows of
 * further nodes, which are made numbers there.
 */
export function errorOf(net: Network, sizes: (node: number) => Tensor, count: number, batch: number) {
  let sumOf: Tensor | undefined;
  const of = (node: number, a: Tensor): Tensor => {
    const features = a.shape[0] as number;
    const size = mul(sizes(node), factor(net, node, a));
    const terms =
      batch === 1
        ? mul(abs(a), size)
        : mul(reshape(abs(a), [features, count, batch]), reshape(size, [features, 1, batch]));
    const all = [node, ...(net.nodes[node]?.inputs ?? [])].map((of) => sum(sizes(of), [0]));
    const lost = mul(add(addAll(all), 1), UNDERFLOW[a.dtype as FloatType]);
    return reshape(add(reshape(sum(terms, [0]), [count, batch]), reshape(lost, [1, batch])), [
      1,
      count * batch,
    ]);
  };
  return {
    visit(node: number, a: Tensor): void {
      const error = of(node, a);
      sumOf = sumOf === undefined ? error : add(sumOf, error);
    },
    total: (): Tensor => sumOf as Tensor,
    with: (rows: Iterable<readonly [node: number, a: Tensor]>): Tensor =>
      addAll([sumOf as Tensor, ...[...rows].map(([node, a]) => of(node, a))]),
  };
}

/** Intervals of a node from those before it, moved outwards by what rounding can do. */
export function soundInterval(
  net: Network,
  parameters: Parameters,
  node: number,
  from: readonly Bounds[],
  sizes: (node: number) => Tensor,
): Bounds {
  const bounds = intervalNode(net, parameters, node, from);
  const { layer } = net.nodes[node] as NetworkNode;
  // ReLUs are exact; smooth activations are moved outwards by their own slack.
  if (isNonlinear(layer)) {
    // A runtime's ReLU of NaN may be 0: what overflowed before it stays NaN.
    const [{ lower, upper }] = from as [Bounds];
    return { lower: add(bounds.lower, mul(lower, 0)), upper: add(bounds.upper, mul(upper, 0)) };
  }
  const { dtype } = bounds.lower;
  const error = add(mul(sizes(node), 2 * factor(net, node, bounds.lower)), UNDERFLOW[dtype as FloatType]);
  return { lower: sub(bounds.lower, error), upper: add(bounds.upper, error) };
}
