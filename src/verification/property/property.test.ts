import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { centreOf, type Inequality, linearValue, sizeOfTerms, violation } from './property.js';

const number = fc.double({ min: -1e3, max: 1e3, noNaN: true });
const vector = (size: number) =>
  fc.array(number, { minLength: size, maxLength: size }).map((values) => Float64Array.from(values));
const inequality: fc.Arbitrary<Inequality> = fc.record({
  outputs: vector(3),
  inputs: vector(4),
  bound: number,
});

describe('an inequality at an input', () => {
  test('is at most the size of its terms, those over inputs too, and as large where all have one sign', () => {
    fc.assert(
      fc.property(inequality, vector(4), vector(3), (row, x, y) => {
        const box = { lower: x, upper: x };
        const size = sizeOfTerms(row, x, y);
        expect(Math.abs(violation({ box, unsafe: [row] }, x, y))).toBeLessThanOrEqual(size * (1 + 1e-12));
        const positive = {
          outputs: row.outputs.map(Math.abs),
          inputs: (row.inputs as Float64Array).map(Math.abs),
          bound: -Math.abs(row.bound),
        };
        expect(violation({ box, unsafe: [positive] }, x.map(Math.abs), y.map(Math.abs))).toBeCloseTo(size, 6);
      }),
    );
  });
});

describe('a polytope at an input', () => {
  test('is missed by its inequality that is missed by most, wherever that stands', () => {
    fc.assert(
      fc.property(
        fc.array(inequality, { minLength: 1, maxLength: 4 }),
        vector(4),
        vector(3),
        (rows, x, y) => {
          const box = { lower: x, upper: x };
          const each = rows.map((row) => violation({ box, unsafe: [row] }, x, y));
          expect(violation({ box, unsafe: rows }, x, y)).toBe(Math.max(...each));
          rows.forEach((row, k) => {
            const size = sizeOfTerms(row, x, y);
            expect(Math.abs(linearValue(row, x, y) - row.bound - (each[k] as number))).toBeLessThan(
              1e-12 * size,
            );
          });
        },
      ),
    );
  });

  test('leaves out what its factors leave out, numbers or not', () => {
    const [x, y] = [Float64Array.of(Number.NaN, 3), Float64Array.of(2, Number.POSITIVE_INFINITY)];
    const row = { outputs: Float64Array.of(5, 0), inputs: Float64Array.of(0, -1), bound: 4 };
    expect(linearValue(row, x, y)).toBe(7);
    expect(violation({ box: { lower: x, upper: x }, unsafe: [row] }, x, y)).toBe(3);
    expect(sizeOfTerms(row, x, y)).toBe(17);
    const outputs = { outputs: Float64Array.of(5, 0), bound: 4 };
    expect([linearValue(outputs, x, y), sizeOfTerms(outputs, x, y)]).toEqual([10, 14]);
    expect(violation({ box: { lower: x, upper: x }, unsafe: [outputs] }, x, y)).toBe(6);
  });

  test('is never met where a value is no number', () => {
    const box = { lower: Float64Array.of(0), upper: Float64Array.of(0) };
    const row = { outputs: Float64Array.of(1), bound: 0 };
    expect(violation({ box, unsafe: [row] }, [0], [Number.NaN]) <= 0).toBe(false);
  });
});

test('the centre of a box is as far from both ends', () => {
  fc.assert(
    fc.property(vector(4), vector(4), (a, b) => {
      const box = {
        lower: a.map((v, i) => Math.min(v, b[i] as number)),
        upper: a.map((v, i) => Math.max(v, b[i] as number)),
      };
      for (const [i, v] of centreOf(box).entries())
        expect(v - (box.lower[i] as number)).toBeCloseTo((box.upper[i] as number) - v, 9);
    }),
  );
});
