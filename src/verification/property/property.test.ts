import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { centreOf, type Inequality, sizeOfTerms, violation } from './property.js';

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
