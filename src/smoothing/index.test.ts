import { describe, expect, it } from 'vitest';
import { keyOf } from '../runtime/random/keys.js';
import { onHost } from '../testing/host-vector.js';
import { createEstimator, type EstimatorName, estimators, functionObjective } from './index.js';

const quadratic = functionObjective(
  2,
  ([a, b]) => (a as number) ** 2 + 3 * (b as number) ** 2,
  ([a, b]) => [2 * (a as number), 6 * (b as number)],
);
const valuesOnly = functionObjective(2, ([a, b]) => (a as number) + (b as number));

describe('estimators by name', () => {
  it.each(Object.keys(estimators) as EstimatorName[])(
    '%s points along ∇L of a quadratic with default options, and its state can be saved',
    async (name) => {
      const estimator = createEstimator(name);
      expect(estimator.name).toBe(name);
      const context = { key: keyOf(1), step: 0, epoch: 0, epochs: 1 };
      const state = structuredClone(estimator.init(2, [{ offset: 0, size: 2 }]));
      const { gradient, loss } = await estimator.estimate(state, Float32Array.of(1, -1), quadratic, context);
      expect(
        Math.hypot((onHost(gradient)[0] as number) - 2, (onHost(gradient)[1] as number) + 6),
      ).toBeLessThan(1.5);
      expect(loss).toBeCloseTo(4, 1);
      const blind = estimator.estimate(state, Float32Array.of(1, -1), valuesOnly, context);
      if (estimator.needsGradient)
        await expect(blind).rejects.toThrow(/expected a gradient function, got none/);
      else expect((await blind).gradient).toHaveLength(2);
    },
  );

  it('are created from options, and an unknown name lists those there are', () => {
    expect(createEstimator('pgpe', { samples: 4, shaping: 'centered-rank' }).needsGradient).toBe(false);
    expect(() => createEstimator('cma' as EstimatorName)).toThrow(
      'expected an estimator, one of none, rgs, pgpe; got "cma"',
    );
    expect(() => createEstimator('toString' as EstimatorName)).toThrow(/expected an estimator/);
  });
});
