/**
 * What float32 arithmetic may do to the outputs of a network over a box: a running error analysis of all that
 * is computed, with the sizes of the terms at every node, the input's normalisation among them.
 *
 *   s_k = |W| m + |b|,  e_k² = (W∘W) e² + s_k²,  r_k² = (W∘W) r²,  m_k = |v_k| + r_k
 *
 * in units of 2⁻²⁴, with v the values at the box's centre, r how far they move in the box, m the size of what
 * a layer reads and e the error of its outputs. Errors and moves are added as what is independent adds up,
 * in squares (Higham, Mary 2019), and safely multiplied after (`rounding.ts`): worst cases, added as absolute
 * values, would be larger than any margin of a deep network. A proof for every case is what `sound` is for.
 */
import { abs, add, addAll, maximum, mul, sqrt, sub, type Tensor } from '../../graph/index.js';
import type { AffineLayer, Weights } from '../../network/layers/layer.js';
import { INPUT, type Network, type Parameters, weightsOf } from '../../network/network.js';
import type { Bounds } from '../../relaxation/relaxation.js';

/** Sizes below this are counted as this, so that underflow is an error like others. */
const SMALLEST = 2 ** -50;

interface State {
  /** r² and e². */
  readonly moved: Tensor;
  readonly error: Tensor;
  readonly size: Tensor;
}

/** (L∘L) q, of squares q; where an output reads one input, |L| √q is squared, which needs no L∘L. */
function ofSquares(layer: AffineLayer, weights: Weights, squares: Tensor): Tensor {
  const absolute = layer.absolute(weights);
  if (layer.separable) {
    const root = layer.linear(absolute, sqrt(squares));
    return mul(root, root);
  }
  const { weight } = absolute;
  return layer.linear(
    weight === undefined ? absolute : { ...absolute, weight: mul(weight, weight) },
    squares,
  );
}

/**
 * e of the outputs, [outputs, n], in units of 2⁻²⁴: NaN or infinite where float32 overflows.
 * @param values those of all nodes at the box's centre
 */
export function runningError(
  net: Network,
  parameters: Parameters,
  { lower, upper }: Bounds,
  values: readonly Tensor[],
): Tensor {
  const half = mul(sub(upper, lower), 0.5);
  const states: State[] = [];
  const start: State = {
    moved: mul(half, half),
    error: mul(lower, 0),
    size: maximum(abs(lower), abs(upper)),
  };
  net.nodes.forEach(({ layer, inputs }, k) => {
    const from = inputs.map((node) => (node === INPUT ? start : (states[node] as State)));
    const first = from[0] as State;
    const size = (moved: Tensor) => add(abs(values[k] as Tensor), sqrt(moved));
    if (layer.kind === 'affine') {
      const weights = weightsOf(net, k, parameters);
      const bias = layer.bias(weights, 'float32');
      const linear = layer.linear(layer.absolute(weights), first.size);
      const terms = add(bias === undefined ? linear : add(linear, abs(bias)), SMALLEST);
      const moved = ofSquares(layer, weights, first.moved);
      const error = add(ofSquares(layer, weights, first.error), mul(terms, terms));
      states.push({ moved, error, size: size(moved) });
    } else if (layer.kind === 'join') {
      const moved = addAll(from.map((state) => state.moved));
      const terms = addAll(from.map((state) => state.size));
      const error = add(addAll(from.map((state) => state.error)), mul(terms, terms));
      states.push({ moved, error, size: size(moved) });
    } else states.push({ moved: first.moved, error: first.error, size: size(first.moved) });
  });
  return sqrt((states.at(-1) as State).error);
}
