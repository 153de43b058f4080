/**
 * Published training recipes per data set and radius: the common settings of the certified-training
 * literature (Shi 2021, Müller 2023, Mao 2023, Balauca 2025), from which the defaults of settings follow.
 * Fashion-MNIST and SVHN, for which there are none, follow MNIST and CIFAR-10; digits are not mirrored.
 */
import type { AugmentationName, Dataset } from './choices.js';

export interface Recipe {
  /** Images of the training set. */
  readonly trainingImages: number;
  readonly epsilon: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly learningRateDecayEpochs: readonly number[];
  readonly warmupStart: number;
  readonly warmupEpochs: number;
  readonly augmentation: AugmentationName;
}

const MNIST: Recipe = {
  trainingImages: 60_000,
  epsilon: 0.1,
  batchSize: 256,
  epochs: 70,
  learningRateDecayEpochs: [50, 60],
  warmupStart: 0,
  warmupEpochs: 20,
  augmentation: 'none',
};
const CIFAR10: Recipe = {
  trainingImages: 50_000,
  epsilon: 2 / 255,
  batchSize: 128,
  epochs: 160,
  learningRateDecayEpochs: [120, 140],
  warmupStart: 1,
  warmupEpochs: 80,
  augmentation: 'flip-crop',
};

/** The recipe of each data set for its smallest radius. */
export const RECIPES: Readonly<Record<Dataset, Recipe>> = {
  mnist: MNIST,
  'fashion-mnist': MNIST,
  cifar10: CIFAR10,
  svhn: { ...CIFAR10, trainingImages: 73_257, augmentation: 'crop' },
  'tiny-imagenet': { ...CIFAR10, trainingImages: 100_000, epsilon: 1 / 255 },
};

const LARGE: Partial<Record<Dataset, Recipe>> = {
  mnist: { ...MNIST, epsilon: 0.3 },
  cifar10: {
    ...CIFAR10,
    epsilon: 8 / 255,
    epochs: 240,
    learningRateDecayEpochs: [200, 220],
    warmupEpochs: 120,
  },
};

/** Every published recipe of a data set, by growing radius. */
export const recipesOf = (dataset: Dataset): readonly Recipe[] => [
  RECIPES[dataset],
  ...(LARGE[dataset] === undefined ? [] : [LARGE[dataset]]),
];

/** The recipe whose radius is nearest to ε by ratio: 3/255 trains as 2/255 does, 6/255 as 8/255. */
export function recipeFor(dataset: Dataset, epsilon: number): Recipe {
  const distance = (recipe: Recipe): number => Math.abs(Math.log(epsilon / recipe.epsilon));
  return recipesOf(dataset).reduce((best, recipe) => (distance(recipe) < distance(best) ? recipe : best));
}

/**
 * A recipe stretched to another number of epochs: decay and warm-up keep their place relative to the whole.
 * Decay epochs are whole and lie inside the run; the warm-up may end within an epoch.
 */
export function stretch(
  recipe: Recipe,
  epochs: number,
): Pick<Recipe, 'learningRateDecayEpochs' | 'warmupStart' | 'warmupEpochs'> {
  const scaled = (epoch: number): number => (epoch * epochs) / recipe.epochs;
  const hundredths = (epoch: number): number => Math.round(100 * scaled(epoch)) / 100;
  const decay = recipe.learningRateDecayEpochs
    .map((epoch) => Math.round(scaled(epoch)))
    .filter((epoch) => epoch > 0 && epoch < epochs);
  return {
    learningRateDecayEpochs: [...new Set(decay)],
    warmupStart: hundredths(recipe.warmupStart),
    warmupEpochs: hundredths(recipe.warmupEpochs),
  };
}
