import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluate, type FloatType, input } from '../graph/index.js';
import { reluSlopes } from './slopes.js';

/** [α, λ, μ] of each interval. */
function linesOf(pairs: readonly (readonly [number, number])[], dtype: FloatType): number[][] {
  const [lower, upper] = ['l', 'u'].map((name) => input(name, [pairs.length], dtype));
  if (lower === undefined || upper === undefined) throw new RangeError('linesOf: expected two inputs');
  const slopes = reluSlopes({ lower, upper });
  const values = evaluate([slopes.lower, slopes.upper, slopes.intercept], {
    l: pairs.map(([l]) => l),
    u: pairs.map(([, u]) => u),
  });
  return pairs.map((_, i) => values.map((value) => value[i] as number));
}

const end = fc.oneof(
  fc.integer({ min: -6, max: 6 }).map((k) => k / 2),
  fc.double({ min: -1e3, max: 1e3, noNaN: true }),
  fc.constantFrom(0, 1e-7, -1e-7, 1e6, -1e6),
);
const interval = fc
  .tuple(end, end)
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
  .filter(([l, u]) => u - l > 1e-20 || u === l);

test('the lines of a ReLU lie below and above it on the interval, and meet it where they are tight', () => {
  fc.assert(
    fc.property(fc.array(interval, { minLength: 50, maxLength: 50 }), (pairs) => {
      linesOf(pairs, 'float64').forEach(([alpha = 0, lambda = 0, mu = 0], i) => {
        const [l, u] = pairs[i] as readonly [number, number];
        const size = 1e-12 * Math.max(1, Math.abs(l), Math.abs(u));
        for (const x of [l, u, (l + u) / 2, ...(l < 0 && u > 0 ? [0] : [])]) {
          const y = Math.max(0, x);
          expect(alpha * x - y).toBeLessThanOrEqual(size);
          expect(y - lambda * x - mu).toBeLessThanOrEqual(size);
        }
        // The line above passes through both ends, the one below leaves the smaller triangle.
        for (const x of [l, u]) expect(Math.abs(lambda * x + mu - Math.max(0, x))).toBeLessThanOrEqual(size);
        expect(alpha).toBe(l + u > 0 ? 1 : 0);
        if (l >= 0 && u > 0) expect([lambda, mu]).toEqual([expect.closeTo(1, 12), 0]);
      });
    }),
    { numRuns: 60 },
  );
});

test('a neuron that is fixed at zero has finite lines', () => {
  for (const dtype of ['float32', 'float64'] as const) expect(linesOf([[0, 0]], dtype)).toEqual([[0, 0, 0]]);
});
