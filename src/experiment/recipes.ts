/**
 * Published training recipes per data set: the common settings of the certified-training literature (Shi 2021, Müller 2023,
 * Mao 2023, Balauca 2025), from which the defaults of settings follow.
 */
import type { Dataset } from './choices.js';

export interface Recipe {
  /** Images of the training set. */
  readonly trainingImages: number;
  readonly epsilon: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly learningRateDecayEpochs: readonly number[];
  readonly warmupStart: number;
  readonly warmupEpochs: number;
}

export const RECIPES: Readonly<Record<Dataset, Recipe>> = {
  mnist: { trainingImages: 60_000, epsilon: 0.1, batchSize: 256, epochs: 70, learningRateDecayEpochs: [50, 60], warmupStart: 0, warmupEpochs: 20 },
};

/**
 * A recipe stretched to another number of epochs: decay and warm-up keep their place relative to the whole. Decay epochs are
 * whole and lie inside the run; the warm-up may end within an epoch.
 */
export function stretch(recipe: Recipe, epochs: number): Pick<Recipe, 'learningRateDecayEpochs' | 'warmupStart' | 'warmupEpochs'> {
  const scaled = (epoch: number): number => (epoch * epochs) / recipe.epochs;
  const hundredths = (epoch: number): number => Math.round(100 * scaled(epoch)) / 100;
  const decay = recipe.learningRateDecayEpochs.map((epoch) => Math.round(scaled(epoch))).filter((epoch) => epoch > 0 && epoch < epochs);
  return { learningRateDecayEpochs: [...new Set(decay)], warmupStart: hundredths(recipe.warmupStart), warmupEpochs: hundredths(recipe.warmupEpochs) };
}
