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
import { add, gemm, maximum, minimum, mul, relu, sub, type Tensor } from '../../graph/index.js';

/** The sides of a node's unstable neurons, one each: [rows, 1] by row, `v` [outputs of `from`, rows]. */
export interface Hull {
  /** The node whose outputs are x, or the input. */
  readonly from: number;
  readonly v: Tensor;
  /** s. */
  readonly least: Tensor;
  /** (s + r)/(u − l). */
  readonly reach: Tensor;
  /** u/(u − l), l and u − l of the neurons. */
  readonly slope: Tensor;
  readonly lower: Tensor;
  readonly width: Tensor;
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
