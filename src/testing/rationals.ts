/** Exact rational numbers, for tests of rounding: every float64 is one. */

export interface Rational {
  readonly numerator: bigint;
  /** Positive. */
  readonly denominator: bigint;
}

export const rational = (numerator: bigint, denominator = 1n): Rational =>
  denominator < 0n ? { numerator: -numerator, denominator: -denominator } : { numerator, denominator };

/** What a finite float64 is. */
export function ofFloat(value: number): Rational {
  if (!Number.isFinite(value)) throw new RangeError(`expected a finite number, got ${value}`);
  let [scaled, power] = [value, 0];
  while (!Number.isInteger(scaled)) [scaled, power] = [scaled * 2, power + 1];
  return rational(BigInt(scaled), 1n << BigInt(power));
}

export const plusOf = (a: Rational, b: Rational): Rational =>
  rational(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator);
export const timesOf = (a: Rational, b: Rational): Rational =>
  rational(a.numerator * b.numerator, a.denominator * b.denominator);
export const overOf = (a: Rational, b: Rational): Rational =>
  rational(a.numerator * b.denominator, a.denominator * b.numerator);
export const minusOf = (a: Rational, b: Rational): Rational =>
  plusOf(a, rational(-b.numerator, b.denominator));
export const sizeOf = ({ numerator, denominator }: Rational): Rational =>
  rational(numerator < 0n ? -numerator : numerator, denominator);
/** a ≤ b. */
export const atMost = (a: Rational, b: Rational): boolean =>
  a.numerator * b.denominator <= b.numerator * a.denominator;
