/**
 * The default of every setting: a constant, or a function of the settings declared before it in the schema,
 * with the text that help shows for it.
 */
import { availableParallelism } from 'node:os';
import type { Dataset } from './choices.js';
import { RECIPES, recipeFor, stretch } from './recipes.js';
import type { SettingName, Settings } from './settings.js';

export type Default<T> =
  | { readonly value: T }
  | { readonly text: string; readonly from: (known: Settings) => T };

const constant = <T>(value: T): Default<T> => ({ value });
const derived = <T>(text: string, from: (known: Settings) => T): Default<T> => ({ text, from });

const recipeOf = (known: Settings) => recipeFor(known.dataset, known.epsilon);
/**
 * With 199 attacks for each image the multi-estimator of TAPS takes about eight times as long as the single
 * one (CNN5, block 1).
 */
const hasManyClasses = (dataset: Dataset): boolean => dataset === 'tiny-imagenet';

/**
 * Most images of a program call. Small programs spend their time in overheads, large ones in memory:
 * zonotopes keep a column for every pixel and neuron of an image, CROWN the slopes of every receptive field,
 * α-CROWN slopes for every margin; an attack keeps its own programs open beside those of the bounds. CNN7
 * with batch normalisation trains in less than 8 GB on two threads (bench/memory.mjs).
 */
function largestMicroBatch({ relaxation, architecture, method, dataset, tapsEstimator }: Settings): number {
  const large = /^cnn7|^cnn5-l/.test(architecture);
  // A point of the embedding for each wrong class of each image.
  if (/taps/.test(method) && tapsEstimator === 'multi' && hasManyClasses(dataset)) return large ? 2 : 4;
  if (/hbox|deepz/.test(relaxation)) return 4;
  if (/alpha-crown|crown(?!-ibp)/.test(relaxation)) return large ? 1 : 16;
  if (large) return method === 'natural' || method === 'certified' ? 32 : 16;
  return relaxation.includes('crown-ibp') ? 32 : 64;
}

/**
 * A graphics processor wants longer rows than a processor's cache holds. Where images share statistics the
 * device must not matter: there a micro-batch is part of what is computed.
 */
const deviceFactor = ({ device, architecture }: Settings): number =>
  /^(webgpu|cuda)$/.test(device) && !architecture.endsWith('-bn') ? 8 : 1;

/** Radii below this are small to the published recipes: they want less of the bound. */
const SMALL_RADIUS = 4 / 255;

/** "crown", "sabr", "sabr-crown": what tells runs apart. */
const shortMethod = ({ method, relaxation }: Settings): string => {
  if (method === 'certified' || method === 'natural') return relaxation;
  return relaxation === 'ibp' || relaxation === 'none' ? method : `${method}-${relaxation}`;
};

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
  epsilon: derived(
    '0.1 for mnist, 2/255 for cifar10, 1/255 for tiny-imagenet',
    (known) => RECIPES[known.dataset].epsilon,
  ),
  augmentation: derived(
    'none for mnist, flip-crop for cifar10 and tiny-imagenet',
    (known) => recipeOf(known).augmentation,
  ),

  architecture: constant('cnn3'),
  relaxation: derived('ibp, none with method natural or pgd', ({ method }) =>
    method === 'natural' || method === 'pgd' ? 'none' : 'ibp',
  ),
  method: derived('certified, natural with relaxation none', ({ relaxation }) =>
    relaxation === 'none' ? 'natural' : 'certified',
  ),
  initialization: derived('ibp, kaiming with relaxation none', (known) =>
    known.relaxation === 'none' ? 'kaiming' : 'ibp',
  ),
  normalize: constant(true),

  epochs: derived('70 for mnist, 160 or 240 for cifar10', (known) => recipeOf(known).epochs),
  clipBox: constant(true),
  lossFusion: constant(false),
  kappa: derived('1, 0 for natural training', (known) => (known.method === 'natural' ? 0 : 1)),
  kappaStart: derived('as kappa', (known) => known.kappa),
  lambda: derived('0.4, 0.1 below ε = 4/255', ({ epsilon }) => (epsilon < SMALL_RADIUS ? 0.1 : 0.4)),
  alpha: derived('0.1, 0.01 below ε = 4/255', ({ epsilon }) => (epsilon < SMALL_RADIUS ? 0.01 : 0.1)),
  tapsBlock: constant(1),
  tapsEstimator: derived('multi, single for tiny-imagenet', ({ dataset }) =>
    hasManyClasses(dataset) ? 'single' : 'multi',
  ),
  tapsWeight: constant(5),
  attackSteps: constant(8),
  attackStepSize: constant(0.5),
  warmupStart: derived(
    '0 for mnist, 1 of 160 epochs for cifar10',
    (known) => stretch(recipeOf(known), known.epochs).warmupStart,
  ),
  warmupEpochs: derived(
    '20 of 70 epochs for mnist, 80 of 160 for cifar10',
    (known) => stretch(recipeOf(known), known.epochs).warmupEpochs,
  ),
  warmupRegularizer: derived('0.5 with ibp initialization, else 0', (known) =>
    known.initialization === 'ibp' && known.relaxation !== 'none' ? 0.5 : 0,
  ),
  l1: constant(1e-6),

  smoothing: constant('none'),
  samples: derived('2 for rgs, 256 for pgpe', (known) => (known.smoothing === 'pgpe' ? 256 : 2)),
  sigma: constant(1e-3),
  sigmaDecay: derived('linear for rgs, constant for pgpe', (known) =>
    known.smoothing === 'pgpe' ? 'constant' : 'linear',
  ),
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
  swaStart: derived('never', () => undefined),
  select: derived('best with validation, else last', ({ validation }) => (validation > 0 ? 'best' : 'last')),
  seed: constant(0),

  device: constant('cpu'),
  memory: derived('most of what the device has free', () => undefined),
  microBatch: derived(
    'batch-size, at most 64, fewer for large networks and tight relaxations; eight times as many on ' +
      'webgpu and cuda',
    (known) => Math.min(known.batchSize, largestMicroBatch(known) * deviceFactor(known)),
  ),
  threads: derived('available cores', () => availableParallelism()),
  checkpointEvery: constant(1),
  checkpointSeconds: constant(300),
  out: derived('runs/<dataset>-<architecture>-<relaxation or method>-<smoothing>-eps<ε>-seed<n>', (known) =>
    ['runs/', ...[known.dataset, known.architecture, shortMethod(known), known.smoothing].join('-')].join(''),
  ),
};
