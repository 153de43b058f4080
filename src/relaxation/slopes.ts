/**
 * The linear relaxation of the ReLU on [l, u] that CROWN uses (Zhang et al. 2018, arXiv 1811.00866; DeepPoly,
 * Singh et al. 2019).
 *
 * Unstable neurons (l < 0 < u): α x ≤ relu(x) ≤ λ x + μ with λ = u/(u − l), μ = −λ l and α = 1 if u > −l else
 * 0. Stable neurons get the exact line: λ = α = 1 or 0, μ = 0. λ and μ are differentiated through the bounds;
 * α is a constant.
 */
import {
  add,
  constant,
  div,
  type FloatType,
  greater,
  maximum,
  mul,
  neg,
  relu,
  type Tensor,
  where,
} from '../graph/index.js';
import type { Bounds } from './relaxation.js';

/** Lines α x + ν ≤ f(x) ≤ λ x + μ. */
export interface Slopes {
  /** α: slope of the line below. */
  readonly lower: Tensor;
  /** ν: intercept of the line below; undefined for 0, which it is for every ReLU. */
  readonly lowerIntercept?: Tensor;
  /** λ: slope of the line above. */
  readonly upper: Tensor;
  /** μ: intercept of the line above. */
  readonly intercept: Tensor;
}

/** Keeps 0/0 of a neuron fixed at zero away; far below any float32 bound of interest. */
const TINY = 1e-30;

export function reluSlopes({ lower, upper }: Bounds): Slopes {
  const dtype = lower.dtype as FloatType;
  const positive = relu(upper);
  const negative = relu(neg(lower));
  const slope = div(positive, maximum(add(positive, negative), TINY));
  const one = constant(1, [], dtype);
  const zero = constant(0, [], dtype);
  return {
    lower: where(greater(add(upper, lower), 0), one, zero),
    upper: slope,
    intercept: mul(slope, negative),
  };
}
