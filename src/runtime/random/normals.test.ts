import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalCdf, normalDensity, normalUpperTail } from '../../testing/normal-distribution.js';
import { deriveKey, type Key, keyOf } from './keys.js';
import { accumulateNormals, fillNormals, perturb, perturbPair } from './normals.js';
import { fillBits } from './threefry.js';

const key = keyOf('normals');
const draw = (from: Key, count: number, start = 0): Float32Array => {
  const out = new Float32Array(count);
  fillNormals(from, out, start);
  return out;
};
const mean = (count: number, term: (i: number) => number): number => {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += term(i);
  return sum / count;
};
const entry = (values: ArrayLike<number>, i: number): number => values[i] as number;

describe('normal draws', () => {
  it('are Φ⁻¹ of their random word to a few parts in ten million, tails included', () => {
    const count = 300_000;
    const bits = new Int32Array(count);
    fillBits(key, bits, 0, count);
    const z = draw(key, count);
    let worst = 0;
    for (let i = 0; i < count; i++) {
      const x = Math.abs(entry(z, i));
      const tail = 0.5 - Math.abs((entry(bits, i) + 0.5) / 2 ** 32);
      worst = Math.max(worst, Math.abs(normalUpperTail(x) - tail) / (normalDensity(x) * Math.max(x, 1e-3)));
      if (Math.sign(entry(z, i)) !== Math.sign(entry(bits, i) + 0.5)) expect.fail('wrong sign');
    }
    expect(worst).toBeLessThan(3e-7);
  });

  it('pass Kolmogorov and Smirnov against Φ', () => {
    const n = 200_000;
    const z = draw(key, n).sort();
    let distance = 0;
    for (let i = 0; i < n; i++) {
      const cdf = normalCdf(entry(z, i));
      distance = Math.max(distance, Math.abs(cdf - i / n), Math.abs(cdf - (i + 1) / n));
    }
    expect(distance * Math.sqrt(n)).toBeLessThan(1.95); // exceeded once in a thousand
  });

  it('have the moments of N(0, 1) and reach beyond five standard deviations as often as they should', () => {
    const n = 8_000_000;
    const z = draw(key, n);
    const moments = [1, 2, 3, 4].map((power) => mean(n, (i) => entry(z, i) ** power));
    const deviations = [1, Math.sqrt(2), Math.sqrt(15), Math.sqrt(96)];
    [0, 1, 0, 3].forEach((expected, p) => {
      expect(Math.abs(entry(moments, p) - expected)).toBeLessThan((4 * entry(deviations, p)) / Math.sqrt(n));
    });
    let beyond = 0;
    let largest = 0;
    for (let i = 0; i < n; i++) {
      const size = Math.abs(entry(z, i));
      if (size > 4.5) beyond++;
      if (size > largest) largest = size;
    }
    expect(Math.abs(beyond - 2 * n * normalUpperTail(4.5))).toBeLessThan(
      4 * Math.sqrt(2 * n * normalUpperTail(4.5)),
    );
    expect(largest).toBeGreaterThan(5);
    expect(largest).toBeLessThan(6.3);
  });

  it('of neighbouring coordinates and of neighbouring keys are uncorrelated, and so are their squares', () => {
    const n = 500_000;
    const z = draw(deriveKey(key, 7, 0), n + 2048);
    const pairings = [1, 2, 1024].map((lag) => z.subarray(lag));
    pairings.push(
      ...(
        [
          deriveKey(key, 8, 0),
          deriveKey(key, 7, 1),
          [deriveKey(key, 7, 0)[0] ^ 1, deriveKey(key, 7, 0)[1]],
        ] as Key[]
      ).map((other) => draw(other, n)),
    );
    for (const other of pairings) {
      expect(Math.abs(mean(n, (i) => entry(z, i) * entry(other, i))) * Math.sqrt(n)).toBeLessThan(4);
      expect(
        Math.abs(mean(n, (i) => (entry(z, i) ** 2 - 1) * (entry(other, i) ** 2 - 1))) * Math.sqrt(n),
      ).toBeLessThan(4 * 2);
    }
  });

  it('do not depend on the range they are made in', () => {
    const all = draw(key, 5000);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4000 }), fc.integer({ min: 0, max: 1000 }), (start, count) => {
        expect(draw(key, count, start)).toEqual(all.slice(start, start + count));
      }),
      { numRuns: 50 },
    );
    expect(() => draw(key, 1, -1)).toThrow(/expected coordinates within/);
  });
});

describe('perturb', () => {
  it('adds and subtracts σ∘z, one σ or one per coordinate, alone or as a pair', () => {
    const size = 2500;
    const theta = draw(keyOf('theta'), size);
    const z = draw(key, size);
    const vector = draw(keyOf('sigma'), size).map(Math.abs);
    for (const sigma of [0.25, vector]) {
      const [plus, minus, plusAgain, minusAgain] = Array.from(
        { length: 4 },
        () => new Float32Array(size),
      ) as [Float32Array, Float32Array, Float32Array, Float32Array];
      perturb(theta, key, sigma, 1, plus);
      perturb(theta, key, sigma, -1, minus);
      perturbPair(theta, key, sigma, plusAgain, minusAgain);
      const step = (i: number) => (typeof sigma === 'number' ? sigma : entry(sigma, i)) * entry(z, i);
      expect(plus).toEqual(theta.map((t, i) => t + step(i)));
      expect(minus).toEqual(theta.map((t, i) => t - step(i)));
      expect(plusAgain).toEqual(plus);
      expect(minusAgain).toEqual(minus);
      const inPlace = theta.slice();
      perturb(inPlace, key, sigma, 1, inPlace);
      expect(inPlace).toEqual(plus);
    }
    expect(() => perturb(theta, key, vector.subarray(1), 1, theta.slice())).toThrow(
      /expected one σ or 2500, got 2499/,
    );
  });
});

describe('accumulateNormals', () => {
  const keys = Array.from({ length: 5 }, (_, i) => deriveKey(key, i, 0));
  const first = Float64Array.of(1, -2, 0.5, 3, 0.1);
  const second = Float64Array.of(0.3, 0, -1, 2, 7);

  it('is the sum over keys of weight times z, and of weight times z² − 1', () => {
    const z = keys.map((k) => draw(k, 3000));
    const sums = accumulateNormals(keys, first, second, 0, 3000);
    const expectSum = (got: Float64Array | undefined, weights: Float64Array, f: (z: number) => number) =>
      expect(got).toEqual(
        Float64Array.from({ length: 3000 }, (_, j) =>
          weights.reduce((sum, w, i) => sum + w * f(entry(z[i] as Float32Array, j)), 0),
        ),
      );
    expectSum(sums.first, first, (x) => x);
    expectSum(sums.second, second, (x) => x * x - 1);
    expect(accumulateNormals(keys, first, undefined, 0, 10).second).toBeUndefined();
  });

  it('gives the same bits however the coordinates are split', () => {
    const whole = accumulateNormals(keys, first, second, 0, 4000);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4000 }), (cut) => {
        const parts = [
          accumulateNormals(keys, first, second, 0, cut),
          accumulateNormals(keys, first, second, cut, 4000 - cut),
        ] as const;
        expect(Float64Array.of(...parts[0].first, ...parts[1].first)).toEqual(whole.first);
        expect(Float64Array.of(...(parts[0].second ?? []), ...(parts[1].second ?? []))).toEqual(whole.second);
      }),
      { numRuns: 20 },
    );
  });

  it('needs a weight for each key', () => {
    expect(() => accumulateNormals(keys, first.subarray(1), undefined, 0, 10)).toThrow(/expected 5 weights/);
  });
});
