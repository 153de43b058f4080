/** Proofs in the engine's arithmetic: how far a bound must lie beyond zero. */

import { enclosingBox, floatThreshold, scaleWith } from '../proof/rounding.js';
import type { Box, Inequality } from '../property/property.js';
import type { Ends, Engine } from './engine.js';

/** Subtracting a bound of an inequality, and reading it from decimals, rounds by this much of its size. */
const SUBTRACTION = 2 ** -50;

/** And what underflows there. */
const UNDERFLOW = 2 ** -1000;

/** Rounding of one inequality that float32 bounds leave room for. */
export interface Rounding {
  /** The largest activation at the box's centre. */
  readonly hidden: number;
  /** The running error of an output (`running-error.ts`). */
  readonly error: (output: number) => number;
}

/**
 * What a lower bound of c·y + d·x must exceed b by, for terms of this size: float32 bounds leave room for
 * rounding, float64 ones have done so.
 */
export const allowance = (
  { dtype }: Pick<Engine, 'dtype'>,
  size: number,
  { outputs }: Pick<Inequality, 'outputs'>,
  { hidden, error }: Rounding,
): number =>
  dtype === 'float64'
    ? SUBTRACTION * size + UNDERFLOW
    : floatThreshold(scaleWith(size, hidden), outputs, error);

/**
 * A box in the engine's numbers, at least as large: of float64 numbers, which decimals were rounded to, the
 * neighbours.
 */
export function endsOf({ dtype }: Pick<Engine, 'dtype'>, box: Box): Ends {
  if (dtype === 'float32') return enclosingBox(box);
  const outward = (end: number, direction: 1 | -1) =>
    end + direction * Math.max(Math.abs(end) * 2 ** -52, Number.MIN_VALUE);
  return { lower: box.lower.map((end) => outward(end, -1)), upper: box.upper.map((end) => outward(end, 1)) };
}
