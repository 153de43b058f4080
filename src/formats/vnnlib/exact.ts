/**
 * Constants of VNN-LIB as they are written: integers as numbers, decimals as their text, and what arithmetic
 * makes of them as fractions. They are rounded to float64 once, when a comparison is complete.
 */

interface Literal {
  readonly text: string;
}
interface Fraction {
  readonly numerator: bigint;
  /** Positive. */
  readonly denominator: bigint;
}
/** A number is an integer below 2⁵³. */
export type Exact = number | Literal | Fraction;

/** Beyond these exponents a decimal counts as 10⁻⁵⁰⁰⁰, which no float64 tells from what it is. */
const LARGEST_EXPONENT = 5000;
/** Bits of a fraction; more are the work of arithmetic that no property needs. */
const MOST_BITS = 2 ** 18;

/** What a decimal says; `value` is the float64 nearest to it. */
export const exactOf = (text: string, value: number): Exact =>
  // Two decimals of 15 digits are never nearest to one float64.
  text.length <= 15 &&
  Number.isSafeInteger(value) &&
  (value !== 0 || !/[1-9]/.test(text.split(/e/i)[0] as string))
    ? value
    : { text };

/** A finite float64 as it is. */
export function exactFloat(value: number): Exact {
  if (Number.isSafeInteger(value)) return value + 0;
  // Scaling by powers of two is exact; the second step reaches the smallest numbers.
  let [scaled, shift] = [value, 0];
  while (!Number.isInteger(scaled)) [scaled, shift] = [scaled * 2, shift + 1];
  return fraction(BigInt(scaled), 1n << BigInt(shift));
}

function fractionOf(value: Exact): Fraction {
  if (typeof value === 'number') return { numerator: BigInt(value), denominator: 1n };
  if (!('text' in value)) return value;
  const [mantissa = '', power = '0'] = value.text.toLowerCase().split('e');
  const negative = mantissa.startsWith('-');
  const [whole = '', part = ''] = mantissa.replace(/^[+-]/, '').split('.');
  const digits = BigInt(`${whole}${part}` || '0');
  const signed = negative ? -digits : digits;
  const exponent = Number(power) - part.length;
  if (exponent >= 0)
    return { numerator: digits === 0n ? 0n : signed * 10n ** BigInt(exponent), denominator: 1n };
  if (exponent >= -LARGEST_EXPONENT) return { numerator: signed, denominator: 10n ** BigInt(-exponent) };
  const sign = digits === 0n ? 0n : negative ? -1n : 1n;
  return { numerator: sign, denominator: 10n ** BigInt(LARGEST_EXPONENT) };
}

function fraction(numerator: bigint, denominator: bigint): Exact {
  const [n, d] = denominator < 0n ? [-numerator, -denominator] : [numerator, denominator];
  if (d === 1n && n <= BigInt(Number.MAX_SAFE_INTEGER) && n >= -BigInt(Number.MAX_SAFE_INTEGER))
    return Number(n);
  if (n.toString(16).length * 4 < MOST_BITS && d.toString(16).length * 4 < MOST_BITS)
    return { numerator: n, denominator: d };
  throw new RangeError(`fractions of at most ${MOST_BITS} bits`);
}

/** Integers stay numbers where their result is exact. */
const byNumbers = (a: Exact, b: Exact, compute: (a: number, b: number) => number): number | undefined => {
  if (typeof a !== 'number' || typeof b !== 'number') return undefined;
  const result = compute(a, b);
  return Number.isSafeInteger(result) ? result + 0 : undefined;
};

export function sumOf(a: Exact, b: Exact): Exact {
  if (a === 0) return b;
  if (b === 0) return a;
  const whole = byNumbers(a, b, (p, q) => p + q);
  if (whole !== undefined) return whole;
  const [p, q] = [fractionOf(a), fractionOf(b)];
  if (p.denominator === q.denominator) return fraction(p.numerator + q.numerator, p.denominator);
  return fraction(p.numerator * q.denominator + q.numerator * p.denominator, p.denominator * q.denominator);
}

export function productOf(a: Exact, b: Exact): Exact {
  if (a === 1) return b;
  if (b === 1) return a;
  const whole = byNumbers(a, b, (p, q) => p * q);
  if (whole !== undefined) return whole;
  const [p, q] = [fractionOf(a), fractionOf(b)];
  return fraction(p.numerator * q.numerator, p.denominator * q.denominator);
}

/** a / b of b ≠ 0. */
export function quotientOf(a: Exact, b: Exact): Exact {
  const [p, q] = [fractionOf(a), fractionOf(b)];
  return fraction(p.numerator * q.denominator, p.denominator * q.numerator);
}

export const isZero = (value: Exact): boolean =>
  typeof value === 'number' ? value === 0 : fractionOf(value).numerator === 0n;

export const isNegative = (value: Exact): boolean =>
  typeof value === 'number' ? value < 0 : fractionOf(value).numerator < 0n;

/** The nearest float64; infinite beyond its range. */
export function nearest(value: Exact): number {
  if (typeof value === 'number') return value;
  if ('text' in value) return Number(value.text);
  const { numerator, denominator } = value;
  const size = numerator < 0n ? -numerator : numerator;
  // A quotient of 64 bits or more whose last bit says whether something is left is rounded by Number.
  const bits = (of: bigint) => of.toString(16).length * 4;
  const shift = Math.max(0, 72 + bits(denominator) - bits(size));
  const scaled = size << BigInt(shift);
  const quotient = scaled / denominator;
  const rounded = Number(quotient * denominator === scaled ? quotient : quotient | 1n);
  const result = rounded * 2 ** -Math.min(shift, 1000) * 2 ** -Math.max(0, shift - 1000);
  return numerator < 0n ? -result : result;
}
