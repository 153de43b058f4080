import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BatchObjective, SigmaWeights } from '../evaluation/batch-objective.js';
import { functionObjective } from '../evaluation/function-objective.js';
import type { Sigma } from '../evaluation/sigma.js';
import { scores } from '../evaluation/sums.js';
import { accumulateNormals, keyOf } from '../runtime/random/keys.js';
import { onHost, sigmasOnHost } from '../testing/host-vector.js';
import type { EstimateContext } from './estimator.js';
import { type PgpeOptions, pgpe } from './pgpe.js';

const context = (step: number, epoch = 0, seed = 0): EstimateContext => ({
  key: keyOf(seed),
  step,
  epoch,
  epochs: 10,
});
const modes = ['global', 'layer', 'coordinate'] as const;
const layers = [
  { offset: 0, size: 2 },
  { offset: 2, size: 1 },
];
/** Curved up in the first two coordinates, down in the third: σ wants to shrink there and to grow here. */
const saddle = functionObjective(
  3,
  ([a, b, c]) => (a as number) ** 2 + 4 * (b as number) ** 2 - (c as number) ** 2,
);

/** σ after so many steps at θ = 0. */
async function learn(
  options: PgpeOptions,
  objective: BatchObjective,
  steps: number,
): Promise<{ readonly sigma: Float64Array }> {
  const estimator = pgpe({ samples: 200, sigma: 0.5, sigmaLearningRate: 0.2, ...options });
  let state = estimator.init(3, layers);
  for (let step = 0; step < steps; step++)
    ({ state } = await estimator.estimate(state, new Float32Array(3), objective, context(step)));
  return { sigma: sigmasOnHost(state.sigma) };
}

describe('PGPE', () => {
  it('repeats to the bit from a seed, however the sums are split among workers', async () => {
    const split: BatchObjective = {
      gradient: () => Promise.reject(new Error('PGPE takes no gradients')),
      meanGradient: () => Promise.reject(new Error('PGPE takes no gradients')),
      async pairs(theta, perturbations) {
        const { keys, sigma } = perturbations;
        return {
          ...(await saddle.pairs(onHost(theta), perturbations)),
          async scores(first: Float64Array, second?: SigmaWeights) {
            const parts = [0, 1, 2].map((j) => accumulateNormals(keys, first, second?.weights, j, 1));
            const join = (arrays: (Float64Array | undefined)[]) =>
              Float64Array.from(arrays.flatMap((a) => Array.from(a ?? [])));
            return scores(
              { first: join(parts.map((p) => p.first)), second: second && join(parts.map((p) => p.second)) },
              sigma,
              second?.groups,
            );
          },
        };
      },
    };
    for (const sigmaMode of modes) {
      const estimator = pgpe({ samples: 10, sigma: 0.1, sigmaMode, sigmaLearningRate: 0.1 });
      const run = (objective: BatchObjective, seed: number) =>
        estimator.estimate(
          estimator.init(3, layers),
          Float32Array.of(1, 2, 3),
          objective,
          context(5, 0, seed),
        );
      expect(await run(split, 1)).toEqual(await run(saddle, 1));
      expect((await run(saddle, 2)).gradient).not.toEqual((await run(saddle, 1)).gradient);
    }
  });

  it('estimates the same gradient whichever way equal σ’s are held', async () => {
    const made = await Promise.all(
      modes.map((sigmaMode) => {
        const estimator = pgpe({ samples: 20, sigma: 0.25, sigmaMode });
        return estimator.estimate(estimator.init(3, layers), Float32Array.of(1, 2, 3), saddle, context(0));
      }),
    );
    expect(made[1]?.gradient).toEqual(made[0]?.gradient);
    expect(made[2]?.gradient).toEqual(made[0]?.gradient);
  });

  it('shrinks σ where the loss curves up and lets it grow where it curves down, per layer or per coordinate', async () => {
    const perLayer = (await learn({ sigmaMode: 'layer' }, saddle, 15)).sigma;
    expect(perLayer[0]).toBeLessThan(0.4);
    expect(perLayer[1]).toBeGreaterThan(0.55);
    const perCoordinate = (await learn({ sigmaMode: 'coordinate' }, saddle, 15)).sigma;
    expect(perCoordinate).toHaveLength(3);
    expect(perCoordinate[1]).toBeLessThan(perCoordinate[0] as number); // four times the curvature
    expect(perCoordinate[0]).toBeLessThan(0.5);
    expect(perCoordinate[2]).toBeGreaterThan(0.55);
    expect((await learn({ sigmaMode: 'global' }, saddle, 15)).sigma[0]).toBeLessThan(0.4); // on average it curves up
  });

  it('steps σ by the natural gradient: Δσ/σ = −α · mean σ ∂L/∂σ, for E (σz)² that is −2ασ²', async () => {
    const parabola = functionObjective(3, ([a]) => (a as number) ** 2);
    for (const [sigmaMode, expected] of [
      ['coordinate', [2 * 0.25, 0, 0]],
      ['layer', [0.25, 0]],
      ['global', [(2 * 0.25) / 3]],
    ] as const) {
      const { sigma } = await learn({ sigmaMode, samples: 100_000, sigmaLearningRate: 0.1 }, parabola, 1);
      expect(Array.from(sigma, (s) => (1 - s / 0.5) / 0.1)).toEqual(
        expected.map((e) => expect.closeTo(e, 1)),
      );
    }
  });

  it('keeps a learned σ within its bounds and its change within the largest of a step', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...modes),
        fc.constantFrom('none', 'centered-rank'),
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.double({ min: 0.01, max: 0.5, noNaN: true }),
        async (sigmaMode, shaping, scale, sigmaMaxChange) => {
          const objective = functionObjective(
            3,
            ([a, b, c]) => scale * ((a as number) ** 2 - Math.abs(b as number) + (c as number)),
          );
          const estimator = pgpe({
            samples: 4,
            sigma: 0.5,
            sigmaMode,
            shaping,
            sigmaLearningRate: 5,
            sigmaMin: 0.4,
            sigmaMax: 0.7,
            sigmaBounds: 'absolute',
            sigmaMaxChange,
          });
          let state = estimator.init(3, layers);
          for (let step = 0; step < 12; step++) {
            const next = (await estimator.estimate(state, new Float32Array(3), objective, context(step)))
              .state;
            const before = sigmasOnHost(state.sigma);
            sigmasOnHost(next.sigma).forEach((s, j) => {
              expect(s).toBeGreaterThanOrEqual(0.4);
              expect(s).toBeLessThanOrEqual(0.7);
              expect(Math.abs(s / (before[j] as number) - 1)).toBeLessThanOrEqual(sigmaMaxChange + 1e-12);
            });
            state = next;
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reaches its bounds, relative to the initial σ, and stays there', async () => {
    const bounds: PgpeOptions = { sigmaMode: 'coordinate', sigmaMin: 0.5, sigmaMax: 2, sigmaLearningRate: 1 };
    expect(Array.from((await learn(bounds, saddle, 60)).sigma)).toEqual([0.25, 0.25, 1]);
  });

  it('multiplies σ by its decay and leaves the learned σ alone', async () => {
    const seen: Sigma[] = [];
    const watching: BatchObjective = {
      gradient: (theta) => saddle.gradient(onHost(theta)),
      meanGradient: (theta, perturbations) => saddle.meanGradient(onHost(theta), perturbations),
      pairs: (theta, perturbations) => {
        seen.push(perturbations.sigma);
        return saddle.pairs(onHost(theta), perturbations);
      },
    };
    const estimator = pgpe({ samples: 3, sigma: 0.5, sigmaDecay: { shape: 'linear', final: 0.2 } });
    const state = estimator.init(3, layers);
    for (const epoch of [0, 5, 10])
      expect((await estimator.estimate(state, new Float32Array(3), watching, context(0, epoch))).state).toBe(
        state,
      );
    expect(seen).toEqual([0.5, 0.3, 0.1].map((s) => expect.closeTo(s, 12)));
  });

  it.each<[PgpeOptions, RegExp]>([
    [{ sigma: -1 }, /^pgpe options: sigma: .*got -1$/],
    [{ sigma: 0.1, sigmaMin: 2 }, /expected sigmaMin ≤ sigma ≤ sigmaMax/],
    [{ sigmaDecay: 'linear' }, /PGPE has no gradient at σ = 0/],
    [{ samples: 1, sigmaLearningRate: 0.1 }, /at least 2 samples to learn sigma/],
    [{ smaples: 3 } as PgpeOptions, /smaples/],
    [{ sigmaDecay: 'sudden' as 'linear' }, /sigmaDecay\.shape.*"linear"/],
  ])('refuses %j in one clear line', (options, message) => {
    expect(() => pgpe(options)).toThrow(message);
  });

  it('wants layers that cover the parameters', () => {
    const estimator = pgpe({ sigmaMode: 'layer' });
    expect(() => estimator.init(4, layers)).toThrow(/expected layers of 4 coordinates in all, got 3/);
    expect(() => estimator.init(3, layers.slice(1))).toThrow(
      /expected the next layer to begin at coordinate 0, got 2/,
    );
  });
});
