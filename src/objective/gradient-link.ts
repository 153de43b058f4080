/**
 * The rectified linear gradient link of TAPS (Mao et al. 2023, arXiv 2305.04574): how a point that an attack
 * found in a box tells the box's ends how they should move.
 *
 *   ∂z/∂u = max(0, 1 − (u − z)/(c(u − l))),  ∂z/∂l = max(0, 1 − (z − l)/(c(u − l)))
 *
 * An end that the point touches moves it fully, one further away than the part c of the width not at all. c =
 * 1 is the linear link, which is the true derivative of a point that keeps its place relative to the box; c →
 * 0 connects touching ends only.
 */
import {
  add,
  constant,
  div,
  greater,
  maximum,
  mul,
  relu,
  stopGradient,
  sub,
  type Tensor,
  where,
} from '../graph/index.js';
import type { Bounds } from '../relaxation/relaxation.js';

/** In boxes thinner than this both ends get a half. */
const THIN = 1e-5;

/** The value of z, with the derivative of the link in l and u (which broadcast to z). c ∈ (0, 1]. */
export function gradientLink(z: Tensor, { lower, upper }: Bounds, c = 0.5): Tensor {
  if (!(c > 0 && c <= 1)) throw new RangeError(`gradient link: expected c in (0, 1], got ${c}`);
  const [point, low, high] = [stopGradient(z), stopGradient(lower), stopGradient(upper)];
  const reach = mul(sub(high, low), c);
  const near = (distance: Tensor) =>
    where(
      greater(reach, THIN),
      relu(sub(1, div(distance, maximum(reach, THIN)))),
      constant(0.5, [], z.dtype),
    );
  const shift = (weight: Tensor, end: Tensor, fixed: Tensor) => mul(weight, sub(end, fixed));
  return add(
    point,
    add(shift(near(sub(point, low)), lower, low), shift(near(sub(high, point)), upper, high)),
  );
}
