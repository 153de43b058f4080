/**
 * Upper sides of ReLUs that know what their neurons read (Anderson et al. 2020, "Strong mixed-integer
 * programming formulations for trained neural networks"; De Palma et al. 2021, "Scaling the convex barrier").
 *
 * A neuron y = max(0, w·x + b) over a box of x has, beside its triangle, a side for every v of w's length:
 *
 *   y ≤ v·x − s + z (s + r),   s = min v·x,   r = b + max (w − v)·x,
 *
 * minimum and maximum over the box, z ∈ [0, 1] whether it is active: z = 0 gives y ≤ v·x − min v·x, which is
 * not negative, z = 1 gives y ≤ v·x + b + max (w − v)·x, which is at least w·x + b. With y ≤ u z and
 * y ≤ w·x + b − l (1 − z), in shares 1 − θ − π, π and θ, and z eliminated by its maximum,
 *
 *   y ≤ π (w·x + b) + θ v·x − π l − θ s + max(0, (1 − θ − π) u + π l + θ (s + r)).
 *
 * The share π that leaves z nothing, ((1 − θ) u + θ (s + r))/(u − l), within [0, 1 − θ], is the best one;
 * θ = 0 is the triangle. θ is the free number of a neuron whose coefficient is negative, as α is of one whose
 * coefficient is positive. Every θ and every v is valid: only s and r must be right.
 */
import {
  abs,
  add,
  div,
  gemm,
  maximum,
  minimum,
  mul,
  relu,
  reshape,
  stopGradient,
  sub,
  sum,
  type Tensor,
  transpose,
} from '../../graph/index.js';
import type { Bounds } from '../../relaxation/relaxation.js';
import { reluSlopes } from '../../relaxation/slopes.js';
import type { Ascending } from './dual-ascent.js';

/** A node's unstable neurons: u/(u − l), l and u − l, [rows, 1]. */
interface HullNeuron {
  /** The node whose outputs are x, or the input. */
  readonly from: number;
  readonly slope: Tensor;
  readonly lower: Tensor;
  readonly width: Tensor;
}

/** Their sides, one each: `v` [outputs of `from`, rows], the rest [rows, 1]. */
export interface Hull extends HullNeuron {
  readonly v: Tensor;
  /** s. */
  readonly least: Tensor;
  /** (s + r)/(u − l). */
  readonly reach: Tensor;
}

/** Sides while they are chosen: v = m∘w, m ∈ [0, 1] of v's shape ascends. */
export interface HullShares extends Ascending {
  readonly begin: Tensor;
  readonly at: (shares: Tensor) => Hull;
}

/** Computes a tensor once, before an ascent, and reads it by name. */
type Share = (name: string, value: Tensor) => Tensor;

/** Spacing of float32 at 1: twice what rounding one number may do to it. */
const UNIT = 2 ** -23;
/** Keeps 0/0 of a neuron fixed at zero away, as for the triangle. */
export const TINY = 1e-30;

export const hullNeuron = (from: number, lower: Tensor, upper: Tensor, share: Share): HullNeuron => ({
  from,
  slope: share('hull slope', reluSlopes({ lower, upper }).upper),
  lower: share('hull lower', lower),
  width: share('hull width', maximum(sub(upper, lower), TINY)),
});

/**
 * Sides of neurons of weights w [outputs of `from`, rows] for x in a box; `begin` is m at first. s and r are
 * moved by what float32 may lose in their sums, so that the bounds on the way are bounds, too.
 */
export function hullShares(
  node: number,
  neuron: HullNeuron,
  w: Tensor,
  bias: Tensor | undefined,
  { lower, upper }: Bounds,
  begin: Tensor,
  share: Share,
): HullShares {
  const positive = relu(w);
  const negative = sub(w, positive);
  const least = share('hull least terms', add(mul(positive, lower), mul(negative, upper)));
  const greatest = share('hull greatest terms', add(mul(positive, upper), mul(negative, lower)));
  const [terms, count] = w.shape as [number, number];
  const perRow = (terms: Tensor) => transpose(reshape(sum(terms, [0]), [1, count]));
  return {
    key: `shares:${node}`,
    name: `hull shares:${node}`,
    begin,
    nothing: mul(w, 0),
    at: (m) => {
      const [low, high] = [mul(m, least), mul(sub(1, m), greatest)];
      const sizes = perRow(stopGradient(add(abs(low), abs(high))));
      const error = mul(bias ? add(sizes, abs(bias)) : sizes, (terms + 8) * UNIT);
      const s = sub(perRow(low), error);
      const others = add(perRow(high), error);
      const r = bias ? add(bias, others) : others;
      return { ...neuron, v: mul(m, w), least: s, reach: div(add(s, r), neuron.width) };
    },
  };
}

/**
 * The upper side at θ [rows, n]: π − u/(u − l), the intercept, and the coefficients that rows of negative
 * coefficients [rows, n] send on to x.
 */
export function belowHull({ v, least, reach, slope, lower, width }: Hull, theta: Tensor) {
  const balanced = add(slope, mul(theta, sub(reach, slope)));
  const share = minimum(maximum(balanced, 0), sub(1, theta));
  const left = mul(width, relu(sub(balanced, share)));
  return {
    moved: sub(share, slope),
    intercept: sub(left, add(mul(share, lower), mul(theta, least))),
    beyond: (negative: Tensor) => gemm(v, mul(negative, theta)),
  };
}
