/**
 * Sums of two float64: constants of a file folded with twice float64's digits, so that what is rounded to
 * float64 in the end has been rounded once.
 *
 * a = high + low, |low| ≤ 2⁻⁵³ |high|. Each operation is off by at most 2⁻⁹⁸ of the sizes of its terms, as
 * long as nothing underflows (Dekker 1971; Joldes, Muller, Popescu 2017).
 */

export type DoubleDouble = readonly [high: number, low: number];

/** Numbers with what float64 left of each; zeros where `low` is left out. */
export interface Doubles {
  readonly high: Float64Array;
  readonly low?: Float64Array;
}

/** a + b and its rounding error, exactly. */
function twoSum(a: number, b: number): DoubleDouble {
  const sum = a + b;
  const c = sum - a;
  return [sum, a - (sum - c) + (b - c)];
}

const SPLITTER = 2 ** 27 + 1;
function halves(a: number): DoubleDouble {
  const c = SPLITTER * a;
  const high = c - (c - a);
  return [high, a - high];
}

/** a · b and its rounding error, exactly; numbers beyond 2⁹⁹⁵ have no error that could be told. */
function twoProduct(a: number, b: number): DoubleDouble {
  const product = a * b;
  const [ah, al] = halves(a);
  const [bh, bl] = halves(b);
  const error = ah * bh - product + ah * bl + al * bh + al * bl;
  return [product, Number.isFinite(error) ? error : 0];
}

export function plus([a, la]: DoubleDouble, [b, lb]: DoubleDouble): DoubleDouble {
  const [high, low] = twoSum(a, b);
  const [tail, rest] = twoSum(la, lb);
  const [first, second] = twoSum(high, low + tail);
  return twoSum(first, second + rest);
}

export function product([a, la]: DoubleDouble, [b, lb]: DoubleDouble): DoubleDouble {
  const [high, low] = twoProduct(a, b);
  return twoSum(high, low + (a * lb + la * b));
}

export function quotient(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const first = a[0] / b[0];
  const rest = plus(a, product([-first, 0], b));
  const second = rest[0] / b[0];
  const last = plus(rest, product([-second, 0], b))[0] / b[0];
  return Number.isFinite(first) ? plus(twoSum(first, second), [last, 0]) : [first, 0];
}

/** √a of a ≥ 0. */
export function squareRoot(a: DoubleDouble): DoubleDouble {
  const first = Math.sqrt(a[0]);
  if (!(first > 0) || !Number.isFinite(first)) return [first, 0];
  const rest = plus(a, product([-first, 0], [first, 0]));
  return twoSum(first, rest[0] / (2 * first));
}

/** Entry i. */
export const entry = ({ high, low }: Doubles, i: number): DoubleDouble => [high[i] as number, low?.[i] ?? 0];

/** `count` numbers, each made from its index. */
export function doubles(count: number, make: (i: number) => DoubleDouble): Doubles {
  const [high, low] = [new Float64Array(count), new Float64Array(count)];
  for (let i = 0; i < count; i++) {
    const [h, l] = make(i);
    high[i] = h;
    low[i] = l;
  }
  return low.every((value) => value === 0) ? { high } : { high, low };
}

/** The same selection, permutation or repetition of both halves. */
export const bothHalves = ({ high, low }: Doubles, move: (half: Float64Array) => Float64Array): Doubles => ({
  high: move(high),
  ...(low && { low: move(low) }),
});
