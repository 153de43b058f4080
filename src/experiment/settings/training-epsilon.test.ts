import { describe, expect, test } from 'vitest';
import { trainingObjectiveSchedules } from '../prepare-training.js';
import { resolveSettings } from './resolve-settings.js';
import { trainingEpsilon } from './training-epsilon.js';

describe('the radius of training', () => {
  test('is ε unless given, a number, or a factor of ε', () => {
    expect(trainingEpsilon(resolveSettings({ epsilon: 0.2 }))).toBe(0.2);
    expect(trainingEpsilon(resolveSettings({ epsilon: 0.1, trainEpsilon: 0.2 }))).toBe(0.2);
    expect(trainingEpsilon(resolveSettings({ epsilon: 2 / 255, trainEpsilon: '1.5x' }))).toBeCloseTo(3 / 255);
  });

  test('is what ε grows to, and what the warm-up regulariser vanishes at', () => {
    const settings = resolveSettings({ epsilon: 0.1, trainEpsilon: '2x', warmupEpochs: 10 });
    const { epsilon, regularization } = trainingObjectiveSchedules(settings);
    expect(epsilon(10)).toBeCloseTo(0.2);
    expect(regularization(0)).toBe(settings.warmupRegularizer);
    expect(regularization(10)).toBeCloseTo(0);
    expect(regularization(5)).toBeCloseTo(0.5 * (1 - epsilon(5) / 0.2));
  });
});
