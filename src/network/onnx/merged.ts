/**
 * Two linear layers in a row as one, W₂(W₁x + b₁) + b₂ = (W₂W₁)x + (W₂b₁ + b₂), computed exactly.
 *
 * Sums of products cancel, so that rounding them as they grow could leave a weight that is nothing but error.
 * Weights are integers in units of a power of two here, and products and sums are those of integers. Only the
 * weights of the layer that is left in the end are rounded, once, to float64. The integers stay with the
 * draft node for the next layer of a row.
 */
import type { DraftNode, DraftWeights, Integers } from './draft.js';
import { eachOf, type SparseRows, sparseIntegers, sparseRows } from './sparse-rows.js';

export type LinearNode = Extract<DraftNode, { readonly kind: 'linear' }>;

/** Products that one merge may take, a fraction of a second, and weights that it may leave. */
const MOST_PRODUCTS = 2 ** 22;
const MOST_WEIGHTS = 2 ** 20;
/** Powers of two that numbers may have: wider integers would take time, and rounding them could underflow. */
export const LARGEST_SHIFT = 300;
const LARGEST = 2 ** 200;

/** Sizes of merged numbers that are not zero, which float32 holds too. */
const SMALLEST_MERGED = 2 ** -100;
const LARGEST_MERGED = 2 ** 100;
/**
 * A row's terms may be so many times the largest sum. Where layers cancel more, a runtime that computes one
 * after the other in float32 makes errors that the merged layer would not show.
 */
const MOST_CANCELLED = 16;

/** Digits of a float64 behind the binary point. */
function digitsBehind(value: number): number {
  let shift = 0;
  for (let rest = value; !Number.isInteger(rest) && shift <= LARGEST_SHIFT; shift += 24) rest *= 2 ** 24;
  return shift;
}

/** Float64 numbers exactly; undefined where some are too small, too large or no numbers. */
export function integersOf(...parts: readonly (ArrayLike<number> | undefined)[]): Integers | undefined {
  const [first, ...others] = parts as readonly [ArrayLike<number>, ...(ArrayLike<number> | undefined)[]];
  let shift = 0;
  for (const part of parts)
    for (let i = 0; i < (part?.length ?? 0); i++) {
      const value = part?.[i] as number;
      if (!(Math.abs(value) <= LARGEST)) return undefined;
      shift = Math.max(shift, digitsBehind(value));
    }
  if (shift > LARGEST_SHIFT) return undefined;
  const integer = (value: number) => BigInt(value * 2 ** shift);
  return {
    shift,
    values: Array.from(first, (value, i) =>
      others.reduce((sum, part) => sum + integer(part?.[i] ?? 0), integer(value)),
    ),
  };
}

/** The nearest float64 numbers, and what they leave of each; undefined where float32 would not hold one. */
export function rounded({ values, shift }: Integers) {
  const unit = 2 ** -shift;
  const high = Float64Array.from(values, (value) => Number(value) * unit);
  const held = (value: number) =>
    value === 0 || (Math.abs(value) >= SMALLEST_MERGED && Math.abs(value) <= LARGEST_MERGED);
  if (!high.every(held)) return undefined;
  const rest = values.map((value, i) => value - BigInt((high[i] as number) / unit));
  const low = Float64Array.from(rest, (value) => Number(value) * unit);
  const exact = rest.every((value, i) => value === BigInt((low[i] as number) / unit));
  return { high, low, exact };
}

/** a · b of matrices [rows, inner] and [inner, columns]. */
function productOf(a: SparseRows<bigint>, b: SparseRows<bigint>, rows: number, columns: number): bigint[] {
  const values = new Array<bigint>(rows * columns).fill(0n);
  for (let row = 0; row < rows; row++)
    eachOf(a, row, (value, from) =>
      eachOf(b, from, (factor, j) => {
        values[row * columns + j] = (values[row * columns + j] as bigint) + value * factor;
      }),
    );
  return values;
}

/** Σ_j |v_ij| of each row of a matrix [rows, columns]. */
function rowSizes(values: ArrayLike<number>, rows: number): Float64Array {
  const columns = values.length / rows;
  return Float64Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += Math.abs(values[row * columns + j] as number);
    return sum;
  });
}

const largestOf = (values: Float64Array): number => values.reduce((most, value) => Math.max(most, value), 0);

/**
 * Whether sums are far below their terms, |outer| times the sizes of the inner rows.
 * @param sums the sizes of the rows of what the product leaves
 */
export function cancels(outer: SparseRows<number>, inner: Float64Array, sums: Float64Array): boolean {
  const terms = sums.map((_, row) => {
    let size = 0;
    eachOf(outer, row, (value, from) => {
      size += Math.abs(value) * (inner[from] as number);
    });
    return size;
  });
  return largestOf(terms) > MOST_CANCELLED * largestOf(sums);
}

/** Rows of integers in units of 2^−shift. */
interface ExactRows {
  readonly rows: SparseRows<bigint>;
  readonly shift: number;
}

/** The same rows exactly; undefined where numbers are too small, too large or none. */
function exactRows(rows: SparseRows<number>): ExactRows | undefined {
  const found = integersOf(rows.values);
  return found && { rows: { ...rows, values: found.values }, shift: found.shift };
}

/** A layer's weights as the file has them; undefined where they were rounded. */
export function exactWeights({
  weight,
  factors,
  foldings = 0,
  bias: { length },
}: DraftWeights): ExactRows | undefined {
  if (factors) return { rows: sparseIntegers(factors, length), shift: factors.shift };
  return foldings === 0 ? exactRows(sparseRows(weight, length)) : undefined;
}

/**
 * The layer that follows `before`, [rows, features of `before`] without a bias, merged with it: undefined
 * where weights are not exactly known, or where the merged layer would be larger than the two.
 */
export function mergedWith(before: LinearNode, weight: Float64Array, rows: number): LinearNode | undefined {
  const inner = before.bias.length;
  const columns = before.weight.length / inner;
  if (rows * columns > Math.min(MOST_WEIGHTS, inner * (rows + columns)) || !before.exactBias)
    return undefined;
  const outer = sparseRows(weight, rows);
  if (outer.values.length * columns > MOST_PRODUCTS) return undefined;
  const [factor, own] = [exactRows(outer), exactWeights(before)];
  const biases = integersOf(before.bias, before.biasLow);
  if (factor === undefined || own === undefined || biases === undefined) return undefined;
  const shift = factor.shift + own.shift;
  if (shift > LARGEST_SHIFT) return undefined;
  const factors = { values: productOf(factor.rows, own.rows, rows, columns), shift };
  const merged = rounded(factors);
  const bias = rounded({
    values: productOf(factor.rows, sparseIntegers(biases, inner), rows, 1),
    shift: factor.shift + biases.shift,
  });
  // What a bias leaves beyond two float64 could be all of a later sum.
  if (merged === undefined || !bias?.exact) return undefined;
  const sizes = [rowSizes(before.weight, inner), rowSizes(merged.high, rows)] as const;
  if (cancels(outer, ...sizes) || cancels(outer, before.bias.map(Math.abs), bias.high.map(Math.abs)))
    return undefined;
  const low = bias.low.every((value) => value === 0) ? undefined : bias.low;
  return {
    ...before,
    output: [rows, 1, 1],
    weight: merged.high,
    foldings: 1,
    factors,
    bias: bias.high,
    biasLow: low,
    exactBias: true,
  };
}
