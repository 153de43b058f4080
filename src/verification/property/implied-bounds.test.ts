import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { atMost, dyadic, plus, times } from '../../testing/dyadic.js';
import { createBoxSearch } from './box-search.js';
import { tightenByInequalities } from './implied-bounds.js';
import type { Inequality } from './property.js';

const row = (inputs: readonly number[], bound: number, outputs = [0]): Inequality => ({
  outputs: Float64Array.from(outputs),
  inputs: Float64Array.from(inputs),
  bound,
});

describe('bounds that inequalities of inputs imply', () => {
  test('hold every point that fulfils the inequalities and the bounds there are', () => {
    const size = 3;
    // Numbers whose sums are exact, so that a point that an inequality just holds must stay.
    const factor = fc.constantFrom(0, 1, -1, 0.5, -3, 5, -0.75);
    const value = fc.integer({ min: -40, max: 40 }).map((k) => k / 8);
    const sides = fc.tuple(fc.boolean(), fc.boolean());
    let tightened = 0;
    fc.assert(
      fc.property(
        fc.array(value, { minLength: size, maxLength: size }),
        fc.array(sides, { minLength: size, maxLength: size }),
        fc.array(fc.tuple(fc.array(factor, { minLength: size, maxLength: size }), fc.nat(3)), {
          maxLength: 6,
        }),
        fc.nat(16).map((k) => k / 8),
        (x, known, factors, room) => {
          const search = createBoxSearch(size);
          known.forEach(([below, above], i) => {
            if (below) search.above(i, (x[i] as number) - room);
            if (above) search.below(i, (x[i] as number) + room);
          });
          // Inequalities that x fulfils, with room or just so.
          const rows = factors.map(([d, slack]) => {
            const sum = d.reduce<number>((total, f, i) => total + f * (x[i] as number), 0);
            return row(d, sum + slack / 2);
          });
          expect(tightenByInequalities(search, rows)).toBe(true);
          x.forEach((at, i) => {
            const [lower, upper] = search.bounds(i);
            const [below, above] = known[i] as [boolean, boolean];
            if ((!below && Number.isFinite(lower)) || (!above && Number.isFinite(upper))) tightened++;
            expect(lower <= at && at <= upper).toBe(true);
          });
        },
      ),
      { numRuns: 1000 },
    );
    expect(tightened).toBeGreaterThan(300);
  });

  test('are moved outwards by more than all that was rounded, of tiny numbers too', () => {
    const number = fc.oneof(
      fc.double({ min: -1e3, max: 1e3, noNaN: true }),
      fc.integer({ min: -9, max: 9 }).map((k) => k / 10),
      fc.constantFrom(0, 2 ** -1074, -(2 ** -1074), 2 ** -1022 / 3, 3 * 2 ** -600),
    );
    const term = fc.tuple(number, number, number);
    const factor = number.filter((d) => d !== 0);
    fc.assert(
      fc.property(fc.array(term, { maxLength: 4 }), factor, number, (terms, factorOfLast, bound) => {
        const last = terms.length;
        const search = createBoxSearch(last + 1);
        // d_k x_k ≤ b − Σ min d_i x_i, exactly.
        let rest = dyadic(bound);
        for (const [i, [d, a, b]] of terms.entries()) {
          const [low, high] = [Math.min(a, b), Math.max(a, b)];
          search.above(i, low);
          search.below(i, high);
          rest = plus(rest, times(dyadic(-d), dyadic(d > 0 ? low : high)));
        }
        const d = [...terms.map(([of]) => of), factorOfLast];
        expect(tightenByInequalities(search, [row(d, bound)])).toBe(true);
        const [lower, upper] = search.bounds(last);
        const implied = factorOfLast > 0 ? upper : lower;
        if (Number.isFinite(implied))
          expect(atMost(rest, times(dyadic(factorOfLast), dyadic(implied)))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('follow one from another, and are moved outwards by little', () => {
    const search = createBoxSearch(3);
    search.above(0, 0);
    search.below(0, 1);
    // x₁ = x₀ + 0.1 from both sides, 2 x₂ ≤ x₁, x₂ ≥ −x₁.
    const rows = [row([-1, 1, 0], 0.1), row([1, -1, 0], -0.1), row([0, -1, 2], 0), row([0, -1, -1], 0)];
    expect(tightenByInequalities(search, rows)).toBe(true);
    expect(search.unbounded()).toBeUndefined();
    const [lower, upper] = search.bounds(1);
    expect([lower <= 0.1, lower > 0.1 - 1e-14, upper >= 1.1, upper < 1.1 + 1e-13]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(search.bounds(2)[1]).toBeCloseTo(0.55, 12);
  });

  test('leave bounds as they are, and take nothing from inequalities of outputs', () => {
    const search = createBoxSearch(2);
    search.above(0, 0);
    search.below(0, 1);
    const rows = [row([1, 0], 0.5), row([-1, 1], 0, [1]), row([-1, 1], 0, [0, 1])];
    expect(tightenByInequalities(search, rows)).toBe(true);
    expect([search.bounds(0), search.bounds(1)]).toEqual([
      [0, 1],
      [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    ]);
  });

  test('are none of inputs that the inequality leaves out', () => {
    const search = createBoxSearch(2);
    search.above(0, 0);
    search.below(0, 1);
    expect(tightenByInequalities(search, [row([1, 0], 0), row([-1, 0], 0), row([0, 0], 0)])).toBe(true);
    expect(search.bounds(1)).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });

  test('follow one from another in any order of the inequalities', () => {
    const search = createBoxSearch(3);
    search.below(2, 1);
    expect(tightenByInequalities(search, [row([1, -1, 0], 0), row([0, 1, -1], 0)])).toBe(true);
    expect([0, 1].map((i) => search.bounds(i)[1])).toEqual([expect.closeTo(1, 12), expect.closeTo(1, 12)]);
  });

  test('leave no input where they exclude each other', () => {
    const search = createBoxSearch(1);
    search.above(0, 1);
    expect(tightenByInequalities(search, [row([1], 0)])).toBe(false);
  });
});
