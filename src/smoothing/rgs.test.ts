import { describe, expect, it } from 'vitest';
import type { BatchObjective } from '../evaluation/batch-objective.js';
import { functionObjective } from '../evaluation/function-objective.js';
import { type HostGradient, mean } from '../evaluation/sums.js';
import { keyOf } from '../runtime/random/keys.js';
import { onHost } from '../testing/host-vector.js';
import { smoothedFunctions } from '../testing/smoothed-functions.js';
import type { EstimateContext } from './estimator.js';
import { none } from './none.js';
import { type RgsOptions, rgs } from './rgs.js';

const context = (step: number, epoch = 0): EstimateContext => ({
  key: keyOf('rgs'),
  step,
  epoch,
  epochs: 100,
});
const at = (x: number): Float32Array => Float32Array.of(x);
const estimate = async (options: RgsOptions, objective: BatchObjective, x: number, where: EstimateContext) =>
  onHost((await rgs(options).estimate(null, at(x), objective, where)).gradient)[0] as number;
const smooth = functionObjective(
  1,
  ([x]) => Math.sin(x as number),
  ([x]) => [Math.cos(x as number)],
);

describe('RGS', () => {
  it('of a smooth loss is the gradient of the smoothed loss: E cos(x + σz) = e^{−σ²/2} cos x', async () => {
    const truth = Math.exp(-0.32) * Math.cos(0.3);
    const errors: number[] = [];
    for (const samples of [16, 64, 256, 1024]) {
      const made = await Promise.all(
        Array.from({ length: 100 }, (_, step) =>
          estimate({ samples, sigma: 0.8 }, smooth, 0.3, context(step)),
        ),
      );
      errors.push(Math.sqrt(made.reduce((sum, g) => sum + (g - truth) ** 2, 0) / 100));
    }
    for (const i of [1, 2, 3]) expect((errors[i - 1] as number) / (errors[i] as number)).toBeCloseTo(2, 0);
    expect(errors[3]).toBeLessThan(0.02);
  });

  it('is right on |x|, which is continuous, and blind to the step, whose smoothed gradient is not zero', async () => {
    for (const { name, f, slope, dx } of smoothedFunctions) {
      const objective = functionObjective(
        1,
        ([x]) => f(x as number),
        ([x]) => [slope(x as number)],
      );
      const made = await estimate({ samples: 20_000, sigma: 0.5 }, objective, 0.2, context(0));
      if (name === '|x|' || name === 'x²') expect(made).toBeCloseTo(dx(0.2, 0.5), 1);
      else {
        expect(made).toBe(0);
        expect(dx(0.2, 0.5)).toBeGreaterThan(0.5);
      }
    }
  });

  it('asks for one plain gradient, and is GRAD, once σ has decayed to zero', async () => {
    const asked: number[] = [];
    const counting: BatchObjective = {
      pairs: () => Promise.reject(new Error('RGS takes no values')),
      gradient: (theta) => {
        asked.push(0);
        return smooth.gradient(onHost(theta));
      },
      meanGradient: (theta, perturbations) => {
        asked.push(perturbations.keys.length);
        return smooth.meanGradient(onHost(theta), perturbations);
      },
    };
    const options: RgsOptions = { samples: 5, sigma: 0.1, sigmaDecay: { shape: 'linear', until: 0.5 } };
    const plain = await none().estimate(null, at(0.3), smooth, context(9));
    expect(await estimate(options, counting, 0.3, context(9, 49))).not.toBe(onHost(plain.gradient)[0]);
    expect(await rgs(options).estimate(null, at(0.3), counting, context(9, 50))).toEqual(plain);
    expect(asked).toEqual([5, 0]);
    expect(onHost(plain.gradient)[0]).toBeCloseTo(Math.cos(0.3), 6);
  });

  it('is the average of what the objective returns: gradient, loss and metrics', async () => {
    const returned: HostGradient[] = [1, 2, 6].map((v) => ({
      loss: v,
      gradient: Float32Array.of(10 * v),
      metrics: { natural: v / 6 },
    }));
    const fixed: BatchObjective = {
      gradient: () => Promise.reject(new Error('σ is not 0')),
      pairs: () => Promise.reject(new Error('RGS takes no values')),
      meanGradient: async (_, perturbations) =>
        mean(perturbations.keys.map((__, i) => returned[i] as HostGradient)),
    };
    const { gradient, loss, metrics } = await rgs({ samples: 3 }).estimate(null, at(0), fixed, context(0));
    expect([onHost(gradient)[0], loss, metrics.natural]).toEqual([
      30,
      expect.closeTo(3, 12),
      expect.closeTo(0.5, 12),
    ]);
  });

  it('repeats to the bit from its key and step, and differs at the next step', async () => {
    const [first, again, next] = await Promise.all(
      [3, 3, 4].map((step) => estimate({ sigma: 0.1 }, smooth, 1, context(step))),
    );
    expect(again).toBe(first);
    expect(next).not.toBe(first);
  });
});
