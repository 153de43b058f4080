import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BatchObjective, GradientPerturbations } from '../evaluation/batch-objective.js';
import { functionObjective } from '../evaluation/function-objective.js';
import { perCoordinate } from '../evaluation/sigma.js';
import { keyOf } from '../runtime/random/keys.js';
import { onHost } from '../testing/host-vector.js';
import type { EstimateContext } from './estimator.js';
import { pgpe } from './pgpe.js';
import { type RgsOptions, rgs } from './rgs.js';

/** Two layers: weights of rms 5 and 0.5, biases at zero. */
const layers = [
  { name: '0.weight', offset: 0, size: 2 },
  { name: '0.bias', offset: 2, size: 1 },
  { name: '2.weight', offset: 3, size: 2 },
  { name: '2.bias', offset: 5, size: 1 },
];
const theta = Float32Array.of(3, Math.sqrt(41), 0, 0.5, -0.5, 0);
const context: EstimateContext = { key: keyOf(3), step: 1, epoch: 0, epochs: 10 };

/** The σ of each coordinate that an estimator asks gradients at. */
async function sigmaOf(options: RgsOptions, at = theta): Promise<number[]> {
  const quiet = functionObjective(
    6,
    () => 0,
    () => new Float32Array(6),
  );
  const asked: GradientPerturbations[] = [];
  const watching: BatchObjective = {
    gradient: (point) => quiet.gradient(onHost(point)),
    pairs: (point, given) => quiet.pairs(onHost(point), given),
    meanGradient: (point, given) => {
      asked.push(given);
      return quiet.meanGradient(onHost(point), given);
    },
    rootMeanSquares: (point, ranges) => quiet.rootMeanSquares(onHost(point), ranges),
  };
  const estimator = rgs(options);
  const state = structuredClone(estimator.init(6, layers));
  await estimator.estimate(state, at, watching, context);
  const sigma = perCoordinate((asked[0] as GradientPerturbations).sigma);
  return typeof sigma === 'number' ? new Array(6).fill(sigma) : Array.from(sigma);
}

describe('relative σ', () => {
  it('is σ times the root mean square of the layer’s weights, of its bias too', async () => {
    const found = await sigmaOf({ sigma: 0.1, sigmaMode: 'relative' });
    for (const [j, expected] of [0.5, 0.5, 0.5, 0.05, 0.05, 0.05].entries())
      expect(found[j]).toBeCloseTo(expected, 6);
  });

  it('leaves biases alone where weights only are perturbed, relative or not', async () => {
    const relative = await sigmaOf({ sigma: 0.1, sigmaMode: 'relative', perturbed: 'weights' });
    expect(relative.map((s) => Number(s.toFixed(6)))).toEqual([0.5, 0.5, 0, 0.05, 0.05, 0]);
    const global = await sigmaOf({ sigma: 0.1, perturbed: 'weights' });
    expect(global.map((s) => Number(s.toFixed(6)))).toEqual([0.1, 0.1, 0, 0.1, 0.1, 0]);
  });

  it('makes smoothing the same for (cW, V/c) as for (W, V), which one σ for all does not', async () => {
    // L = (relu(w)·v − 1)²: a ReLU network of one path.
    const path = functionObjective(
      2,
      ([w, v]) => (Math.max(0, w as number) * (v as number) - 1) ** 2,
      ([w, v]) => {
        const slope = 2 * (Math.max(0, w as number) * (v as number) - 1);
        return [(w as number) > 0 ? slope * (v as number) : 0, slope * Math.max(0, w as number)];
      },
    );
    const weights = [
      { name: '0.weight', offset: 0, size: 1 },
      { name: '1.weight', offset: 1, size: 1 },
    ];
    const lossAt = async (w: number, v: number, sigmaMode: 'global' | 'relative') => {
      const estimator = rgs({ samples: 8, sigma: 0.3, sigmaMode });
      return (await estimator.estimate(estimator.init(2, weights), Float32Array.of(w, v), path, context))
        .loss;
    };
    const positive = fc.double({ min: 0.1, max: 4, noNaN: true });
    await fc.assert(
      fc.asyncProperty(positive, positive, fc.double({ min: 1.5, max: 8, noNaN: true }), async (w, v, c) => {
        const one = await lossAt(w, v, 'relative');
        expect(Math.abs((await lossAt(c * w, v / c, 'relative')) - one)).toBeLessThan(1e-4 * (1 + one));
      }),
    );
    expect(Math.abs((await lossAt(8, 0.125, 'global')) - (await lossAt(1, 1, 'global')))).toBeGreaterThan(
      0.1,
    );
  });

  it('is what PGPE perturbs and divides by, and is learned in its units', async () => {
    const linear = functionObjective(6, (x) => x.reduce((sum, value, j) => sum + (j + 1) * value, 0));
    const estimator = pgpe({ samples: 4000, sigma: 0.1, sigmaMode: 'relative', sigmaLearningRate: 0.1 });
    const { state, gradient } = await estimator.estimate(estimator.init(6, layers), theta, linear, context);
    for (const [j, g] of [...onHost(gradient)].entries()) expect(Math.abs(g - (j + 1))).toBeLessThan(2);
    expect(Array.from(state.sigma as Float64Array).every((s) => s > 0.05 && s < 0.2)).toBe(true);
    expect(state.units).toEqual([0, 0, 2, 2]);
  });

  it('refuses a layer of zeros in one line', async () => {
    await expect(
      sigmaOf({ sigma: 0.1, sigmaMode: 'relative' }, Float32Array.of(1, 1, 0, 0, 0, 0)),
    ).rejects.toThrow(
      'relative σ: expected weights that are not all zero, got only zeros in 2.weight; initialise them, or ' +
        'choose sigma-mode global',
    );
  });
});
