import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  atMost,
  minusOf,
  ofFloat,
  overOf,
  plusOf,
  type Rational,
  rational,
  sizeOf,
  timesOf,
} from '../../testing/rationals.js';
import { type Exact, exactOf, isZero, nearest, productOf, quotientOf, sumOf } from './exact.js';

/** A decimal's text, and what it says. */
interface Decimal {
  readonly text: string;
  readonly value: Rational;
}
const decimal: fc.Arbitrary<Decimal> = fc
  .record({
    digits: fc.oneof(fc.bigInt({ min: 0n, max: 9n }), fc.bigInt({ min: 0n, max: 10n ** 20n })),
    places: fc.integer({ min: 0, max: 25 }),
    power: fc.integer({ min: -30, max: 30 }),
    negative: fc.boolean(),
    scientific: fc.boolean(),
  })
  .map(({ digits, places, power, negative, scientific }) => {
    const all = digits.toString().padStart(places + 1, '0');
    const cut = all.length - places;
    const mantissa = places === 0 ? all : `${all.slice(0, cut)}.${all.slice(cut)}`;
    const exponent = (scientific ? power : 0) - places;
    const scaled =
      exponent >= 0 ? rational(digits * 10n ** BigInt(exponent)) : rational(digits, 10n ** BigInt(-exponent));
    return {
      text: `${negative ? '-' : ''}${mantissa}${scientific ? `e${power}` : ''}`,
      value: negative ? rational(-scaled.numerator, scaled.denominator) : scaled,
    };
  });
const read = ({ text }: Decimal): Exact => exactOf(text, Number(text));

/** The float64 above or below. */
function neighbour(value: number, direction: 1 | -1): number {
  const view = new DataView(new ArrayBuffer(8));
  if (value === 0) return direction * Number.MIN_VALUE;
  view.setFloat64(0, value);
  const step = BigInt(direction * Math.sign(value));
  view.setBigUint64(0, view.getBigUint64(0) + step);
  return view.getFloat64(0);
}

/** No other float64 is nearer. */
function expectNearest(made: Exact, wanted: Rational): void {
  const rounded = nearest(made);
  const distance = sizeOf(minusOf(ofFloat(rounded), wanted));
  for (const direction of [1, -1] as const)
    expect(atMost(distance, sizeOf(minusOf(ofFloat(neighbour(rounded, direction)), wanted)))).toBe(true);
  expect(isZero(made)).toBe(wanted.numerator === 0n);
}

describe('constants of VNN-LIB, against rationals', () => {
  test('decimals, their sums, products and quotients round once, to the nearest float64', () => {
    fc.assert(
      fc.property(decimal, decimal, decimal, (a, b, c) => {
        const [p, q, r] = [read(a), read(b), read(c)];
        expectNearest(p, a.value);
        expectNearest(sumOf(sumOf(p, q), r), plusOf(plusOf(a.value, b.value), c.value));
        expectNearest(productOf(sumOf(p, q), r), timesOf(plusOf(a.value, b.value), c.value));
        if (!isZero(q)) expectNearest(quotientOf(sumOf(p, r), q), overOf(plusOf(a.value, c.value), b.value));
      }),
      { numRuns: 1000 },
    );
  });
});
