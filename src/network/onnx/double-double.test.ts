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
import { type DoubleDouble, plus, product, quotient, squareRoot } from './double-double.js';

/** Numbers of all sizes whose products neither overflow nor lose digits to underflow. */
const float = fc
  .tuple(fc.double({ min: 1, max: 2, noNaN: true }), fc.integer({ min: -200, max: 200 }), fc.boolean())
  .map(([mantissa, power, negative]) => (negative ? -1 : 1) * mantissa * 2 ** power);
/** high + low with |low| ≤ 2⁻⁵³ |high|, some of them without low. */
const number: fc.Arbitrary<DoubleDouble> = fc
  .tuple(float, fc.double({ min: -1, max: 1, noNaN: true }), fc.boolean())
  .map(([high, share, plain]) => {
    const low = plain ? 0 : share * 2 ** -53 * high * 0.999;
    return high + low === high ? [high, low] : [high, 0];
  });
/** A number near minus another: sums that cancel. */
const pair = fc.oneof(
  fc.tuple(number, number),
  number.chain((a) =>
    fc
      .integer({ min: -60, max: 0 })
      .map((power): [DoubleDouble, DoubleDouble] => [a, [-a[0] * (1 + 2 ** power), 0]]),
  ),
);

const exact = ([high, low]: DoubleDouble): Rational => plusOf(ofFloat(high), ofFloat(low));
const ERROR = rational(1n, 1n << 98n);
/** |made − wanted| ≤ 2⁻⁹⁸ · size, and high is what float64 rounds the sum to. */
function expectNear(made: DoubleDouble, wanted: Rational, size: Rational): void {
  expect(atMost(sizeOf(minusOf(exact(made), wanted)), timesOf(ERROR, sizeOf(size)))).toBe(true);
  expect(made[0] + made[1]).toBe(made[0]);
}

describe('sums of two float64, against rationals', () => {
  test('are added to 2⁻⁹⁸ of their terms, also where they cancel', () => {
    fc.assert(
      fc.property(pair, ([a, b]) => {
        const [p, q] = [exact(a), exact(b)];
        expectNear(plus(a, b), plusOf(p, q), plusOf(sizeOf(p), sizeOf(q)));
      }),
      { numRuns: 2000 },
    );
  });

  test('without low parts are added and multiplied exactly', () => {
    fc.assert(
      fc.property(float, float, (a, b) => {
        const product_ = product([a, 0], [b, 0]);
        expect(minusOf(exact(product_), timesOf(ofFloat(a), ofFloat(b))).numerator).toBe(0n);
        const near = a * (1 - 2 ** -30) + b;
        const difference = plus([a, 0], [-near, 0]);
        expect(minusOf(exact(difference), minusOf(ofFloat(a), ofFloat(near))).numerator).toBe(0n);
      }),
    );
  });

  test('are multiplied and divided to 2⁻⁹⁸ of the result', () => {
    fc.assert(
      fc.property(number, number, (a, b) => {
        const [p, q] = [exact(a), exact(b)];
        expectNear(product(a, b), timesOf(p, q), timesOf(p, q));
        expectNear(quotient(a, b), overOf(p, q), overOf(p, q));
      }),
      { numRuns: 2000 },
    );
  });

  test('have square roots whose squares are within 2⁻⁹⁷ of them', () => {
    fc.assert(
      fc.property(number, ([high, low]) => {
        const a: DoubleDouble = high < 0 ? [-high, -low] : [high, low];
        const root = exact(squareRoot(a));
        const size = timesOf(rational(2n), exact(a));
        expect(atMost(sizeOf(minusOf(timesOf(root, root), exact(a))), timesOf(ERROR, size))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
