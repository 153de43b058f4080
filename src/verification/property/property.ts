/**
 * Properties: no input of given boxes leads to an unsafe output.
 *
 * The unsafe set is a union of polytopes over inputs x and outputs y, each a box of inputs and a conjunction
 * of linear inequalities c·y + d·x ≤ b; a property holds (`unsat`) when the network reaches none of them.
 * VNN-LIB files and robustness of classifiers are both of this form: a class j that overtakes y is the
 * polytope f_y − f_j ≤ 0.
 */

/** lower ≤ x ≤ upper, finite, in the units of the network's input. */
export interface Box {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/** c·y + d·x ≤ b. */
export interface Inequality {
  /** c, one for each output. */
  readonly outputs: Float64Array;
  /** d, one for each input; left out where it is zero. */
  readonly inputs?: Float64Array;
  readonly bound: number;
  /** Whether equality is safe: a counterexample fulfils c·y + d·x < b. */
  readonly strict?: boolean;
}

/**
 * Inputs of a box whose outputs fulfil all of `unsafe`; without inequalities every input of the box is
 * unsafe.
 */
export interface Polytope {
  /** The same object where polytopes share a box, so that they can share its bounds. */
  readonly box: Box;
  readonly unsafe: readonly Inequality[];
  /** Inputs whose bounds are strict: a counterexample lies below the number, or above it. */
  readonly strictInputs?: readonly StrictInput[];
}

/** sign · x_i < sign · bound. */
export interface StrictInput {
  readonly input: number;
  readonly sign: 1 | -1;
  readonly bound: number;
}

/**
 * Unsafe inputs and outputs as a union of polytopes: the property holds where the network reaches none of
 * them.
 */
export interface Property {
  readonly inputs: number;
  readonly outputs: number;
  readonly polytopes: readonly Polytope[];
}

/** The middle of a box. */
export const centreOf = ({ lower, upper }: Box): Float64Array =>
  lower.map((low, i) => (low + (upper[i] as number)) / 2);

/**
 * What adds up to c·y + d·x − b, in size: |b| + Σ|c_k y_k| + Σ|d_i x_i|, beside which its rounding is small.
 */
export function sizeOfTerms(
  { outputs, inputs, bound }: Inequality,
  x: ArrayLike<number>,
  y: ArrayLike<number>,
): number {
  const sizeOf = (of: Float64Array | undefined, values: ArrayLike<number>) =>
    of?.reduce(
      (sum, factor, i) => (factor === 0 ? sum : sum + Math.abs(factor * (values[i] as number))),
      0,
    ) ?? 0;
  return Math.abs(bound) + sizeOf(outputs, y) + sizeOf(inputs, x);
}

/** c·y + d·x. */
export function linearValue(
  { outputs, inputs }: Inequality,
  x: ArrayLike<number>,
  y: ArrayLike<number>,
): number {
  let value = 0;
  outputs.forEach((c, i) => {
    if (c !== 0) value += c * (y[i] as number);
  });
  inputs?.forEach((d, i) => {
    if (d !== 0) value += d * (x[i] as number);
  });
  return value;
}

/**
 * How far x with outputs y is from a polytope's inequalities: max over them of c·y + d·x − b; unsafe where it
 * is ≤ 0.
 */
export function violation({ unsafe }: Polytope, x: ArrayLike<number>, y: ArrayLike<number>): number {
  let worst = Number.NEGATIVE_INFINITY;
  for (const { outputs, inputs, bound } of unsafe) {
    let value = -bound;
    outputs.forEach((c, i) => {
      if (c !== 0) value += c * (y[i] as number);
    });
    inputs?.forEach((d, i) => {
      if (d !== 0) value += d * (x[i] as number);
    });
    // Stryker disable next-line EqualityOperator: an equal number takes the place of its equal
    if (!(value <= worst)) worst = value;
  }
  return worst;
}
