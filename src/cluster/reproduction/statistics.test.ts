import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deriveKey, fillNormals, keyOf } from '../../runtime/random/keys.js';
import { meanInterval, median, pairedInterval, studentCdf, studentQuantile } from './statistics.js';

describe("Student's t", () => {
  test.each([
    [0.975, 1, 12.7062047],
    [0.975, 2, 4.30265273],
    [0.975, 4, 2.77644511],
    [0.95, 9, 1.83311293],
    [0.975, 30, 2.04227246],
    [0.995, 100, 2.62589052],
  ])('has the quantiles of published tables: %d with %d degrees of freedom', (p, freedom, expected) => {
    expect(studentQuantile(p, freedom)).toBeCloseTo(expected, 6);
  });

  test('has a distribution that its density integrates to', () => {
    // Unnormalised density (1 + x²/ν)^(−(ν + 1)/2), by the midpoint rule.
    const mass = (freedom: number, from: number, to: number): number => {
      const steps = 20_000;
      const width = (to - from) / steps;
      const density = (x: number) => (1 + (x * x) / freedom) ** (-(freedom + 1) / 2);
      return Array.from({ length: steps }, (_, i) => density(from + (i + 0.5) * width)).reduce(
        (sum, value) => sum + value * width,
        0,
      );
    };
    for (const freedom of [5, 6, 9, 14])
      for (const t of [0.3, 1.1, 2.7])
        expect(studentCdf(t, freedom) - 0.5).toBeCloseTo(mass(freedom, 0, t) / mass(freedom, -60, 60), 5);
  });

  test('with one degree of freedom is Cauchy, with two has its closed form', () => {
    fc.assert(
      fc.property(fc.double({ min: -30, max: 30, noNaN: true }), (t) => {
        expect(studentCdf(t, 1)).toBeCloseTo(0.5 + Math.atan(t) / Math.PI, 9);
        expect(studentCdf(t, 2)).toBeCloseTo(0.5 + t / (2 * Math.sqrt(2 + t * t)), 9);
      }),
    );
  });
});

describe('an interval', () => {
  test('covers the mean of normal numbers as often as it says', () => {
    const runs = 4000;
    const covered = Array.from({ length: runs }, (_, run) => {
      const values = new Float32Array(5);
      fillNormals(deriveKey(keyOf(7), run, 0), values);
      const { low, high } = meanInterval([...values], 0.9);
      return low <= 0 && 0 <= high;
    }).filter(Boolean).length;
    expect(covered / runs).toBeGreaterThan(0.885);
    expect(covered / runs).toBeLessThan(0.915);
  });

  test('of pairs leaves out what all seeds share, and seeds that one side lacks', () => {
    const base = [0.6, 0.7, 0.5, 0.65];
    const a = new Map(base.map((value, seed) => [seed, value + 0.03]));
    const b = new Map([...base.map((value, seed): [number, number] => [seed, value]), [9, 0.1]]);
    const { mean, low, high, count } = pairedInterval(a, b);
    expect([mean, low, high].map((value) => value.toFixed(6))).toEqual(['0.030000', '0.030000', '0.030000']);
    expect(count).toBe(4);
  });

  test('of a single pair is unbounded', () => {
    expect(meanInterval([1])).toEqual({ mean: 1, low: -Infinity, high: Infinity, count: 1 });
  });
});

test('A median is in the middle of an odd number, between the middle two of an even one', () => {
  expect(median([17, 0.1, 0.2])).toBe(0.2);
  expect(median([17, 0.1, 0.3, 0.2])).toBe(0.25);
  expect(median([5])).toBe(5);
});
