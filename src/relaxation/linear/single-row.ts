/**
 * CROWN's relaxation of the ReLU for one row an image: as `slopes` and back-substitution do it for many, with
 * fewer passes over memory.
 *
 * With many rows the slopes of a layer are made once and used often; with one, making and differentiating
 * them takes longer than the products. So p = relu(u) and relu(l) are those that the intervals made already,
 * the slope above and the row's constant share w = a⁻ λ, and the slope has the derivative λ = p/(p + n) ↦ (dp
 * (1 − λ) − dn λ)/(p + n), n = relu(−l).
 */
import { add, div, mul, neg, relu, step, sub, sum, type Tensor, withGradient } from '../../graph/index.js';
import type { Bounds } from '../relaxation.js';

/** Keeps 0/0 of a neuron fixed at zero away. */
const TINY = 1e-30;

/** Upper line's slope λ = p/(p + n). */
function upperSlope(p: Tensor, n: Tensor): Tensor {
  const width = add(add(p, n), TINY);
  const slope = div(p, width);
  return withGradient(slope, [p, n], (g) => {
    const share = div(g, width);
    const fromLower = mul(share, slope);
    return [sub(share, fromLower), neg(fromLower)];
  });
}

/**
 * A row a [features, batch] of a ReLU's output bounded from below by one of its input in [l, u]: a⁺ α + a⁻ λ,
 * and the constant Σ a⁻ λ n, [1, batch]. `after` is the interval of the output, relu(l) and relu(u).
 */
export function singleRow(
  a: Tensor,
  before: Bounds,
  after: Bounds,
): { coefficients: Tensor; constant: Tensor } {
  const n = sub(after.lower, before.lower);
  const p = after.upper;
  const positive = relu(a);
  const above = mul(sub(a, positive), upperSlope(p, n));
  // α = 1 where u > −l: p − n has the sign of u + l.
  return { coefficients: add(mul(positive, step(sub(p, n))), above), constant: sum(mul(above, n), [0]) };
}
