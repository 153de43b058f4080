/**
 * What float32 arithmetic must not be allowed to prove.
 *
 * Bounds are computed in float32, rounded to nearest, so a tiny positive bound may belong to a negative
 * margin. Two allowances keep rounding on the safe side: the ball is made a little larger than asked for, and
 * a bound counts only well above zero.
 *
 * These cover what rounding does to networks as training gives them; they are no outward-rounded interval
 * arithmetic. A proof against adversarially chosen weights needs that: `verify` with `sound`.
 */

import { neighbour } from '../../attack/box.js';
import type { Box } from '../property/property.js';

/** About 170 units in the last place of float32. */
const RELATIVE = 1e-5;

/**
 * The smallest bound of an image's margins that counts as a proof, 1e-5 · (1 + s) for s = max_j |f_j(x)| at
 * the image.
 *
 * A bound is a centre minus a radius. Where it is positive the radius is less than the centre, a margin of at
 * most 2s: so s is the size of all that the last layer adds up, and float32 errors are proportional to it.
 */
export const proofThreshold = (scale: number): number => RELATIVE * (1 + scale);

/**
 * A tenth of the largest activation counts as much as the terms of an inequality: with the threshold's 1e-5
 * these are 17 units in the last place of that activation, for what layers before the last add up and later
 * ones may cancel.
 */
const HIDDEN_SHARE = 0.1;

/**
 * The scale of an inequality whose terms are of size `terms`, in a network whose largest activation is of
 * size `hidden`.
 */
export const scaleWith = (terms: number, hidden: number): number => terms + HIDDEN_SHARE * hidden;

/**
 * Deviations of the running error that a bound must exceed zero by. A bound is computed twice, so to say:
 * bounds of hidden neurons on the way there, coefficients on the way back. Two independent passes are off by
 * √2 e, of which 4 e are 2.8 deviations; and e counts each rounding error as its largest, where errors of
 * mean zero have 1/√3 of it, which makes 4.9 of them. Random networks, with weights of one sign and inputs
 * 10⁴ deviations from zero among them, reach 0.9 e with their bounds and 3 e with single values anywhere in
 * a box (`running-error.test.ts`).
 */
export const RUNNING = 4;
/** Above all numbers of float32: what a network that overflows must exceed. */
const NEVER = 1e39;

/**
 * What a float32 bound of c·y + d·x must exceed b by: `proofThreshold` of its scale, or 4 · 2⁻²⁴ Σ|c_j| e_j
 * where that is more, with e the running errors of the outputs (`running-error.ts`).
 */
export function floatThreshold(
  scale: number,
  coefficients: Float64Array,
  error: (output: number) => number,
): number {
  const sum = coefficients.reduce((total, c, j) => (c === 0 ? total : total + Math.abs(c) * error(j)), 0);
  return atLeast(proofThreshold(scale), sum);
}

const atLeast = (threshold: number, error: number): number => {
  const running = RUNNING * 2 ** -24 * error;
  // Stryker disable next-line EqualityOperator: at NEVER itself both are NEVER, no threshold is above it
  return running < NEVER ? Math.max(threshold, running) : NEVER;
};

/** The same for all margins f_y − f_j of an image, with the running errors e of its logits. */
export function marginThreshold(scale: number, label: number, errors: ArrayLike<number>): number {
  const others = Array.from(errors).filter((_, j) => j !== label);
  return atLeast(proofThreshold(scale), (errors[label] as number) + Math.max(...others));
}

/** x ± ε ∈ [−1, 2] and ε itself are rounded by at most 2⁻²⁴ each; four times their sum costs nothing. */
const BALL_SLACK = 2 ** -21;

/** The ε whose float32 box x ± ε contains the whole ball of radius `epsilon` ≤ 1 around pixels x ∈ [0, 1]. */
export const enclosingRadius = (epsilon: number): number => epsilon + BALL_SLACK;

/**
 * Whether a lower bound is a proof. `atImage` is the margin at the image: it lies in the ball, so a "bound"
 * above it shows that arithmetic went wrong (an overflow, say), and is none.
 */
export function isProof(
  bound: number,
  atImage: number,
  scale: number,
  threshold = proofThreshold(scale),
): boolean {
  return bound > threshold && bound <= atImage + threshold;
}

/** Whether every pixel of x' is at most ε from x's and, if the ball is cut, in [0, 1]. */
export function isInside(
  example: Float32Array,
  image: Float32Array,
  epsilon: number,
  clip: boolean,
): boolean {
  return example.every(
    (v, i) => Math.abs(v - (image[i] as number)) <= epsilon && (!clip || (v >= 0 && v <= 1)),
  );
}

/** The smallest float32 box that contains a box of float64 numbers. */
export function enclosingBox({ lower, upper }: Box): {
  readonly lower: Float32Array;
  readonly upper: Float32Array;
} {
  const outward = (ends: Float64Array, direction: 1 | -1): Float32Array =>
    Float32Array.from(ends, (end) => {
      const near = Math.fround(end);
      return direction * (near - end) < 0 ? neighbour(near, direction) : near;
    });
  return { lower: outward(lower, -1), upper: outward(upper, 1) };
}
