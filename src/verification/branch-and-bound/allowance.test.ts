import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { enclosingBox } from '../proof/rounding.js';
import { allowance, endsOf } from './allowance.js';

const end = fc.double({ min: -1e6, max: 1e6, noNaN: true });

describe('a box in the engine’s numbers', () => {
  it('of float32 contains the box of float64, by less than a unit in the last place on each side', () => {
    fc.assert(
      fc.property(end, end, (a, b) => {
        const box = { lower: Float64Array.of(Math.min(a, b)), upper: Float64Array.of(Math.max(a, b)) };
        const { lower, upper } = endsOf({ dtype: 'float32' }, box) as ReturnType<typeof enclosingBox>;
        expect([lower, upper]).toEqual([enclosingBox(box).lower, enclosingBox(box).upper]);
        const [low, high] = [box.lower[0] as number, box.upper[0] as number];
        expect(lower[0]).toBeLessThanOrEqual(low);
        expect(upper[0]).toBeGreaterThanOrEqual(high);
        expect(low - (lower[0] as number)).toBeLessThanOrEqual(Math.abs(low) * 2 ** -22 + 2 ** -148);
        expect((upper[0] as number) - high).toBeLessThanOrEqual(Math.abs(high) * 2 ** -22 + 2 ** -148);
      }),
    );
  });

  it('of float64 contains the decimals that its ends were rounded from: both move outwards, zero too', () => {
    fc.assert(
      fc.property(fc.oneof(end, fc.constant(0)), (a) => {
        const { lower, upper } = endsOf(
          { dtype: 'float64' },
          { lower: Float64Array.of(a), upper: Float64Array.of(a) },
        );
        expect(lower[0]).toBeLessThan(a);
        expect(upper[0]).toBeGreaterThan(a);
        // By two units in the last place, and no more.
        expect(a - (lower[0] as number)).toBeLessThanOrEqual(Math.abs(a) * 2 ** -51 + Number.MIN_VALUE);
        expect((upper[0] as number) - a).toBeLessThanOrEqual(Math.abs(a) * 2 ** -51 + Number.MIN_VALUE);
      }),
    );
  });
});

describe('what a bound must exceed', () => {
  const row = { outputs: Float64Array.of(1, -2) };
  it('grows with the running errors of the outputs that the row reads, and is never met after overflow', () => {
    const at = (error: (output: number) => number) =>
      allowance({ dtype: 'float32' }, 1, row, { hidden: 1, error });
    expect(at(() => 0)).toBeCloseTo(2.1e-5, 10);
    expect(at((j) => (j === 1 ? 1e6 : 0))).toBeCloseTo(4 * 2 ** -24 * 2e6, 6);
    for (const lost of [Number.NaN, Number.POSITIVE_INFINITY]) expect(at(() => lost)).toBeGreaterThan(3.5e38);
  });
  it('is above zero in float64 too, for inequalities read from decimals', () => {
    const nothing = { hidden: 0, error: () => 0 };
    expect(allowance({ dtype: 'float64' }, 8, row, nothing)).toBeGreaterThanOrEqual(8 * 2 ** -50);
    expect(allowance({ dtype: 'float64' }, 0, row, nothing)).toBeGreaterThan(0);
    // Bounds of that type have left room for all other rounding.
    const lost = { hidden: 1e9, error: () => Number.NaN };
    expect(allowance({ dtype: 'float64' }, 8, row, lost)).toBeLessThan(9 * 2 ** -50);
  });
});
