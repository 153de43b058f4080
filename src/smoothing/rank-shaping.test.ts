import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { centeredRanks } from './rank-shaping.js';

const losses = fc
  .array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 40 })
  .map((values) => Float64Array.from(values));

describe('centred ranks', () => {
  it('keep the order, sum to zero and stay within ±½', () => {
    fc.assert(
      fc.property(losses, (r) => {
        const shaped = centeredRanks(r);
        expect(shaped.reduce((sum, s) => sum + s, 0)).toBeCloseTo(0, 10);
        for (const [i, a] of r.entries()) {
          expect(Math.abs(shaped[i] as number)).toBeLessThanOrEqual(0.5);
          for (const [j, b] of r.entries())
            expect(Math.sign((shaped[i] as number) - (shaped[j] as number))).toBe(Math.sign(a - b) + 0);
        }
      }),
    );
  });

  it('share the rank of equal losses and do not see how large an outlier is', () => {
    expect(centeredRanks(Float64Array.of(2, 1, 1, 1e30, 3))).toEqual(
      Float64Array.of(0, -0.375, -0.375, 0.5, 0.25),
    );
    expect(centeredRanks(Float64Array.of(7, 7, 7))).toEqual(new Float64Array(3));
    expect(centeredRanks(Float64Array.of(7))).toEqual(new Float64Array(1));
  });
});
