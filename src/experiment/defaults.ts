/**
 * The default of every setting: a constant, or a function of the settings declared before it in the schema, with the text
 * that help shows for it.
 */
import { availableParallelism } from 'node:os';
import { RECIPES, recipeFor, stretch } from './recipes.js';
import type { SettingName, Settings } from './settings.js';

export type Default<T> = { readonly value: T } | { readonly text: string; readonly from: (known: Settings) => T };

const constant = <T>(value: T): Default<T> => ({ value });
const derived = <T>(text: string, from: (known: Settings) => T): Default<T> => ({ text, from });

const recipeOf = (known: Settings) => recipeFor(known.dataset, known.epsilon);
/** Small networks spend their time in overheads, large ones in memory: a program call takes fewer images of the latter. */
const LARGEST_MICRO_BATCH = 64;

/** PGPE has no gradient at σ = 0, and an exponential never reaches it. */
function decayFactor({ sigmaDecay, smoothing }: Settings): number {
  if (sigmaDecay === 'constant') return 1;
  if (sigmaDecay === 'exponential') return 0.01;
  return smoothing === 'pgpe' ? 0.1 : 0;
}

/** In an order in which each default follows from those before it. */
export const DEFAULTS: { readonly [Name in SettingName]-?: Default<Settings[Name]> } = {
  dataset: constant('mnist'),
  dataDir: derived('the installed copy', () => undefined),
  trainLimit: derived('all', () => undefined),
  validation: constant(0),
  epsilon: derived('0.1 for mnist, 2/255 for cifar10, 1/255 for tiny-imagenet', (known) => RECIPES[known.dataset].epsilon),
  augmentation: derived('none for mnist, flip-crop for cifar10 and tiny-imagenet', (known) => recipeOf(known).augmentation),

  architecture: constant('cnn3'),
  relaxation: constant('ibp'),
  initialization: derived('ibp, kaiming for natural training', (known) => (known.relaxation === 'none' ? 'kaiming' : 'ibp')),
  normalize: constant(true),

  epochs: derived('70 for mnist, 160 or 240 for cifar10', (known) => recipeOf(known).epochs),
  clipBox: constant(true),
  kappa: derived('1, 0 for natural training', (known) => (known.relaxation === 'none' ? 0 : 1)),
  kappaStart: derived('as kappa', (known) => known.kappa),
  warmupStart: derived('0 for mnist, 1 of 160 epochs for cifar10', (known) => stretch(recipeOf(known), known.epochs).warmupStart),
  warmupEpochs: derived('20 of 70 epochs for mnist, 80 of 160 for cifar10', (known) => stretch(recipeOf(known), known.epochs).warmupEpochs),
  warmupRegularizer: derived('0.5 with ibp initialization, else 0', (known) => (known.initialization === 'ibp' && known.relaxation !== 'none' ? 0.5 : 0)),
  l1: constant(1e-6),

  smoothing: constant('none'),
  samples: derived('2 for rgs, 256 for pgpe', (known) => (known.smoothing === 'pgpe' ? 256 : 2)),
  sigma: constant(1e-3),
  sigmaDecay: derived('linear for rgs, constant for pgpe', (known) => (known.smoothing === 'pgpe' ? 'constant' : 'linear')),
  sigmaDecayUntil: derived('0.75 for rgs, 1 for pgpe', (known) => (known.smoothing === 'pgpe' ? 1 : 0.75)),
  sigmaDecayFactor: derived('0 for rgs, 0.1 for pgpe, 0.01 if exponential', decayFactor),
  sigmaMode: constant('global'),
  sigmaLearningRate: constant(0),
  sigmaMin: derived('sigma / 10', (known) => known.sigma / 10),
  sigmaMax: derived('10 sigma', (known) => 10 * known.sigma),
  shaping: constant('none'),

  optimizer: constant('adam'),
  learningRate: constant(5e-4),
  learningRateDecayEpochs: derived('50,60 of 70 epochs for mnist, 120,140 of 160 for cifar10', (known) => [
    ...stretch(recipeOf(known), known.epochs).learningRateDecayEpochs,
  ]),
  learningRateDecayFactor: constant(0.2),
  gradientClip: constant(10),
  batchSize: derived('256 for mnist, 128 for cifar10', (known) => recipeOf(known).batchSize),
  seed: constant(0),

  microBatch: derived(`batch-size, at most ${LARGEST_MICRO_BATCH}`, (known) => Math.min(known.batchSize, LARGEST_MICRO_BATCH)),
  threads: derived('available cores', () => availableParallelism()),
  checkpointEvery: constant(1),
  checkpointSeconds: constant(300),
  out: derived('runs/<dataset>-<architecture>-<relaxation>-<smoothing>', (known) =>
    ['runs/', ...[known.dataset, known.architecture, known.relaxation, known.smoothing].join('-')].join(''),
  ),
};
