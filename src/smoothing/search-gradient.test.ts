import { describe, expect, it } from 'vitest';
import { functionObjective } from '../evaluation/function-objective.js';
import { fillNormals, type Key, keyOf } from '../runtime/random/keys.js';
import { onHost, sigmasOnHost } from '../testing/host-vector.js';
import { type SmoothedFunction, smoothedFunctions } from '../testing/smoothed-functions.js';
import { sampleKeys } from './estimator.js';
import { type SigmaGroups, searchGradient } from './search-gradient.js';

const entry = (values: ArrayLike<number> | undefined, j: number): number => values?.[j] as number;
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const deviation = (values: readonly number[]): number =>
  Math.sqrt(mean(values.map((v) => (v - mean(values)) ** 2)) * (values.length / (values.length - 1)));
const normals = (key: Key, size: number): Float32Array => {
  const z = new Float32Array(size);
  fillNormals(key, z);
  return z;
};

/** Estimates of (∂x, σ∂σ) of f at x from n pairs, many times over. */
async function estimates(
  { name, f }: SmoothedFunction,
  x: number,
  sigma: number,
  n: number,
  times: number,
): Promise<{ dx: number[]; dSigma: number[] }> {
  const objective = functionObjective(1, ([t]) => f(t as number));
  const made = await Promise.all(
    Array.from({ length: times }, (_, step) =>
      searchGradient(
        objective,
        Float32Array.of(x),
        { keys: sampleKeys(keyOf(`${name} ${n}`), step, n), sigma: sigma },
        {
          sigmas: 'each',
        },
      ),
    ),
  );
  return {
    dx: made.map(({ gradient }) => entry(onHost(gradient), 0)),
    dSigma: made.map(({ relativeSigmaGradient }) => entry(sigmasOnHost(relativeSigmaGradient), 0)),
  };
}

const points = [
  [0.4, 0.5],
  [-0.7, 0.8],
] as const;
const cases = smoothedFunctions.flatMap((f) => points.map(([x, sigma]) => [f.name, x, sigma, f] as const));

describe('the search gradient', () => {
  it.each(cases)(
    'of %s at x = %d, σ = %d is unbiased in x and in σ, even from few pairs',
    async (_, x, sigma, f) => {
      const times = 4000;
      const { dx, dSigma } = await estimates(f, x, sigma, 3, times);
      expect(Math.abs(mean(dx) - f.dx(x, sigma))).toBeLessThan((4 * deviation(dx)) / Math.sqrt(times) + 1e-5);
      expect(Math.abs(mean(dSigma) - sigma * f.dSigma(x, sigma))).toBeLessThan(
        (4 * deviation(dSigma)) / Math.sqrt(times) + 1e-5,
      );
    },
  );

  it.each(cases)('of %s at x = %d, σ = %d converges at the rate 1/√n', async (_, x, sigma, f) => {
    const sizes = [8, 32, 128, 512];
    const errors: { dx: number; dSigma: number }[] = [];
    for (const n of sizes) {
      const { dx, dSigma } = await estimates(f, x, sigma, n, 150);
      const rms = (values: readonly number[], truth: number) =>
        Math.sqrt(mean(values.map((v) => (v - truth) ** 2)));
      errors.push({ dx: rms(dx, f.dx(x, sigma)), dSigma: rms(dSigma, sigma * f.dSigma(x, sigma)) });
    }
    const slope = (which: 'dx' | 'dSigma'): number => {
      const [u, v] = [sizes.map(Math.log), errors.map((e) => Math.log(e[which]))];
      return (
        mean(u.map((a, i) => (a - mean(u)) * (entry(v, i) - mean(v)))) /
        mean(u.map((a) => (a - mean(u)) ** 2))
      );
    };
    expect(Math.abs(slope('dx') + 0.5)).toBeLessThan(0.08);
    expect(Math.abs(slope('dSigma') + 0.5)).toBeLessThan(0.12);
  });

  it('of a linear function is 1/n Σ z (z·a): its offset, θ and σ play no part', async () => {
    const a = [1, -2, 0.5];
    const keys = sampleKeys(keyOf(5), 0, 40);
    const z = keys.map((key) => normals(key, 3));
    const expected = a.map((_, j) =>
      mean(z.map((zi) => entry(zi, j) * a.reduce((sum, ak, k) => sum + ak * entry(zi, k), 0))),
    );
    for (const [offset, sigma] of [
      [0, 1],
      [1000, 0.25],
    ] as const) {
      const objective = functionObjective(
        3,
        (theta) => offset + a.reduce((sum, ak, k) => sum + ak * entry(theta, k), 0),
      );
      const { gradient, loss } = await searchGradient(objective, Float32Array.of(3, 1, 2), { keys, sigma });
      for (const j of [0, 1, 2]) expect(entry(onHost(gradient), j)).toBeCloseTo(entry(expected, j), 4);
      // The pairs' means cancel exactly, so there is no sampling error.
      expect(loss).toBeCloseTo(offset + 2, 4);
    }
  });

  it('of a constant is exactly zero, in θ and in σ', async () => {
    const { gradient, relativeSigmaGradient } = await searchGradient(
      functionObjective(4, () => 3),
      new Float32Array(4),
      { keys: sampleKeys(keyOf(6), 0, 10), sigma: 0.1 },
      { sigmas: 'each' },
    );
    expect(Array.from(onHost(gradient), Math.abs)).toEqual([0, 0, 0, 0]);
    expect(Array.from(sigmasOnHost(relativeSigmaGradient), Math.abs)).toEqual([0, 0, 0, 0]);
  });

  it('takes one σ per coordinate: each coordinate sees the loss smoothed by its own', async () => {
    const [x, sigma] = [Float32Array.of(0.2, -0.3), Float32Array.of(0.3, 0.9)];
    const steps = functionObjective(2, ([a, b]) => Number((a as number) > 0) + Math.abs(b as number));
    const { gradient, relativeSigmaGradient } = await searchGradient(
      steps,
      x,
      { keys: sampleKeys(keyOf(7), 0, 40_000), sigma },
      { sigmas: 'each' },
    );
    [smoothedFunctions[1], smoothedFunctions[2]].forEach((f, j) => {
      expect(entry(onHost(gradient), j)).toBeCloseTo(f?.dx(entry(x, j), entry(sigma, j)) as number, 1);
      expect(entry(sigmasOnHost(relativeSigmaGradient), j) / entry(sigma, j)).toBeCloseTo(
        f?.dSigma(entry(x, j), entry(sigma, j)) as number,
        1,
      );
    });
  });

  it('of a σ that coordinates share is the mean of theirs, whichever groups they form', async () => {
    const objective = functionObjective(
      3,
      ([a, b, c]) => Math.abs(a as number) + (b as number) ** 2 - Math.floor(3 * (c as number)),
    );
    const made = (sigmas: SigmaGroups) =>
      searchGradient(
        objective,
        Float32Array.of(0.1, 0.2, 0.3),
        { keys: sampleKeys(keyOf(11), 0, 20), sigma: 0.4 },
        {
          sigmas,
        },
      );
    const each = sigmasOnHost((await made('each')).relativeSigmaGradient);
    const groups = [
      { offset: 0, size: 1 },
      { offset: 1, size: 2 },
    ];
    const grouped = await made(groups);
    expect(grouped.relativeSigmaGradient).toEqual(
      Float64Array.of(entry(each, 0), (entry(each, 1) + entry(each, 2)) / 2),
    );
    expect(grouped.gradient).toEqual((await made('each')).gradient);
  });

  it('with centred ranks sees the order of losses only', async () => {
    const keys = sampleKeys(keyOf(8), 0, 30);
    const shaped = (f: (x: number) => number) =>
      searchGradient(
        functionObjective(2, ([a, b]) => f((a as number) + 2 * (b as number))),
        Float32Array.of(0.1, 0.2),
        { keys, sigma: 0.3 },
        { shaping: 'centered-rank', sigmas: 'each' },
      );
    const [plain, bent] = [await shaped((x) => x), await shaped((x) => Math.exp(5 * x))];
    expect(bent.gradient).toEqual(plain.gradient);
    expect(bent.relativeSigmaGradient).toEqual(plain.relativeSigmaGradient);
    expect(entry(onHost(plain.gradient), 1)).toBeGreaterThan(entry(onHost(plain.gradient), 0));
    expect(entry(onHost(plain.gradient), 0)).toBeGreaterThan(0);
  });

  it('names the pair whose loss is not finite', async () => {
    const keys = sampleKeys(keyOf(9), 0, 20);
    const negative = keys.findIndex((key) => entry(normals(key, 1), 0) < 0);
    const log = functionObjective(1, ([x]) => ((x as number) > 0 ? 1 : Number.NaN));
    await expect(
      searchGradient(log, Float32Array.of(0), { keys: keys.slice(negative), sigma: 1 }),
    ).rejects.toThrow(/got NaN at θ \+ σ∘z of pair 0; lower sigma/);
    await expect(
      searchGradient(log, Float32Array.of(0), { keys: keys.slice(0, 1), sigma: 1 }, { sigmas: 'each' }),
    ).rejects.toThrow(/at least 2 pairs to learn σ, got 1/);
  });
});
