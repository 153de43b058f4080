import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain } from '../../network/network.js';
import type { Inequality } from '../property/property.js';
import { outOfRange } from './output-range.js';

const box = { lower: Float64Array.of(-1), upper: Float64Array.of(1) };
const ending = chain('relus', [1, 1, 1], [linearLayer([1, 1, 1], 2), reluLayer([2, 1, 1])]);
const affine = chain('affine', [1, 1, 1], [linearLayer([1, 1, 1], 2)]);
const half = fc.integer({ min: -3, max: 3 }).map((n) => n / 2);
const inequality: fc.Arbitrary<Inequality> = fc.record({
  outputs: fc.tuple(half, half).map((c) => Float64Array.from(c)),
  inputs: fc.option(
    half.map((d) => Float64Array.of(d)),
    { nil: undefined },
  ),
  bound: half,
  strict: fc.boolean(),
});

describe('the range of ReLUs', () => {
  test('excludes no outputs that are ≥ 0 and fulfil every inequality', () => {
    const y = fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 }));
    fc.assert(
      fc.property(fc.array(inequality, { maxLength: 3 }), y, half, (unsafe, [y0, y1], x) => {
        const fulfilled = unsafe.every(({ outputs: [c0 = 0, c1 = 0], inputs, bound, strict }) => {
          const value = c0 * y0 + c1 * y1 + (inputs?.[0] ?? 0) * x;
          return strict ? value < bound : value <= bound;
        });
        if (fulfilled) expect(outOfRange(ending, { box, unsafe })).toBe(false);
      }),
    );
  });

  test('excludes what is negative, strictly or by a bound below 0, and only behind ReLUs', () => {
    const [outputs, bound] = [Float64Array.of(1, 0), 0];
    expect(outOfRange(ending, { box, unsafe: [{ outputs, bound, strict: true }] })).toBe(true);
    expect(outOfRange(ending, { box, unsafe: [{ outputs, bound: -1e-300 }] })).toBe(true);
    expect(outOfRange(ending, { box, unsafe: [{ outputs, bound }] })).toBe(false);
    expect(outOfRange(affine, { box, unsafe: [{ outputs, bound, strict: true }] })).toBe(false);
  });
});
