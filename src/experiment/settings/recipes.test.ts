import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { datasetNamed } from '../../data/datasets.js';
import { DATASETS } from './choices.js';
import { RECIPES, recipeFor, recipesOf } from './recipes.js';
import { resolveSettings } from './resolve-settings.js';

describe('published recipes', () => {
  const cifar10 = {
    optimizer: 'adam',
    learningRate: 5e-4,
    gradientClip: 10,
    learningRateDecayFactor: 0.2,
    batchSize: 128,
    augmentation: 'flip-crop',
    warmupStart: 1,
  };
  test.each([
    [
      'mnist',
      0.1,
      {
        batchSize: 256,
        epochs: 70,
        learningRateDecayEpochs: [50, 60],
        warmupStart: 0,
        warmupEpochs: 20,
        augmentation: 'none',
      },
    ],
    [
      'mnist',
      0.3,
      {
        batchSize: 256,
        epochs: 70,
        learningRateDecayEpochs: [50, 60],
        warmupStart: 0,
        warmupEpochs: 20,
        augmentation: 'none',
      },
    ],
    ['cifar10', 2 / 255, { ...cifar10, epochs: 160, learningRateDecayEpochs: [120, 140], warmupEpochs: 80 }],
    ['cifar10', 8 / 255, { ...cifar10, epochs: 240, learningRateDecayEpochs: [200, 220], warmupEpochs: 120 }],
    [
      'tiny-imagenet',
      1 / 255,
      { ...cifar10, epochs: 160, learningRateDecayEpochs: [120, 140], warmupEpochs: 80 },
    ],
  ] as const)('are the defaults for %s at ε = %s', (dataset, epsilon, expected) => {
    expect(resolveSettings({ dataset, epsilon })).toMatchObject(expected);
  });

  test('of each data set begin with the smallest radius, which is the default, and know how many images there are', () => {
    const counts = {
      mnist: 60_000,
      'fashion-mnist': 60_000,
      cifar10: 50_000,
      svhn: 73_257,
      'tiny-imagenet': 100_000,
    };
    for (const name of DATASETS) {
      expect(recipesOf(name).map(({ epsilon }) => epsilon)).toEqual(
        recipesOf(name)
          .map(({ epsilon }) => epsilon)
          .toSorted((a, b) => a - b),
      );
      expect(resolveSettings({ dataset: name }).epsilon).toBe(RECIPES[name].epsilon);
      expect(RECIPES[name].trainingImages).toBe(counts[name]);
      expect(datasetNamed(name).name).toBe(name);
    }
  });

  test('are chosen by the nearest radius: each has its own, and between two the ratio decides', () => {
    for (const name of DATASETS)
      for (const recipe of recipesOf(name)) expect(recipeFor(name, recipe.epsilon)).toBe(recipe);
    fc.assert(
      fc.property(fc.double({ min: 1e-4, max: 1, noNaN: true }), (epsilon) => {
        expect(recipeFor('cifar10', epsilon).epochs).toBe(epsilon <= 4 / 255 ? 160 : 240);
      }),
    );
  });
});
