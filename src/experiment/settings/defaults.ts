/**
 * The default of every setting: a constant, or a function of the settings declared before it in the schema,
 * with the text that help shows for it.
 */
import { availableParallelism } from 'node:os';
import { methods } from '../../objective/methods.js';
import { METHODS } from './choices.js';
import {
  defaultInWords,
  ESTIMATOR_SETTINGS,
  type EstimatorSetting,
  estimatorDefault,
} from './estimator-settings.js';
import { defaultMicroBatch, hasManyClasses } from './micro-batch.js';
import { RECIPES, recipeFor, stretch } from './recipes.js';
import type { SettingName, Settings } from './settings.js';

export type Default<T> =
  | { readonly value: T }
  | { readonly text: string; readonly from: (known: Settings) => T };

const constant = <T>(value: T): Default<T> => ({ value });
const derived = <T>(text: string, from: (known: Settings) => T): Default<T> => ({ text, from });

const recipeOf = (known: Settings) => recipeFor(known.dataset, known.epsilon);

/** Methods that bound nothing. */
const UNBOUNDED = METHODS.filter((method) => methods[method].relaxations === 'none');

/** Radii below this are small to the published recipes: they want less of the bound. */
const SMALL_RADIUS = 4 / 255;

/** "crown", "sabr", "sabr-crown": what tells runs apart. */
const shortMethod = ({ method, relaxation }: Settings): string => {
  if (method === 'certified' || method === 'natural') return relaxation;
  return relaxation === 'ibp' || relaxation === 'none' ? method : `${method}-${relaxation}`;
};

/** "mnist", "mnist-2max". */
const shortImages = ({ dataset, pool }: Settings): string =>
  pool === 'none' ? dataset : `${dataset}-${pool.replaceAll(/\s+/g, '')}`;

/** "cnn3", "conv4@5s2p2_linear": names of folders have no spaces. */
const shortLayers = ({ architecture }: Settings): string =>
  architecture.replaceAll(/\s+/g, '').replaceAll(',', '_').slice(0, 80);

const estimatorDefaults = Object.fromEntries(
  ESTIMATOR_SETTINGS.map((name) => [
    name,
    derived(defaultInWords(name), (known) => estimatorDefault(name, known)),
  ]),
) as unknown as { readonly [Name in EstimatorSetting]: Default<Settings[Name]> };

/** In an order in which each default follows from those before it. */
export const DEFAULTS: { readonly [Name in SettingName]-?: Default<Settings[Name]> } = {
  dataset: constant('mnist'),
  dataDir: derived('the installed copy', () => undefined),
  pool: constant('none'),
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
  batchStatistics: constant('batch'),
  relaxation: derived(`ibp, none with method ${UNBOUNDED.join(' or ')}`, ({ method }) =>
    UNBOUNDED.includes(method) ? 'none' : 'ibp',
  ),
  method: derived('certified, natural with relaxation none', ({ relaxation }) =>
    relaxation === 'none' ? 'natural' : 'certified',
  ),
  initialization: derived('ibp, kaiming with relaxation none', (known) =>
    known.relaxation === 'none' ? 'kaiming' : 'ibp',
  ),
  normalize: constant(true),

  epochs: derived('70 for mnist, 160 or 240 for cifar10', (known) => recipeOf(known).epochs),
  trainEpsilon: derived('epsilon', (known) => known.epsilon),
  clipBox: constant(true),
  lossFusion: constant(false),
  kappa: derived('1, 0 for natural training', (known) => (known.method === 'natural' ? 0 : 1)),
  kappaStart: derived('as kappa', (known) => known.kappa),
  lambda: derived('0.4, 0.1 below ε = 4/255', ({ epsilon }) => (epsilon < SMALL_RADIUS ? 0.1 : 0.4)),
  reluShrinking: constant(1),
  alpha: derived('0.1, 0.01 below ε = 4/255', ({ epsilon }) => (epsilon < SMALL_RADIUS ? 0.01 : 0.1)),
  tapsBlock: constant(1),
  tapsEstimator: derived('multi, single for tiny-imagenet', ({ dataset }) =>
    hasManyClasses(dataset) ? 'single' : 'multi',
  ),
  tapsProduct: constant('images'),
  tapsWeight: constant(5),
  attackSteps: constant(8),
  attackStepSize: constant(0.5),
  attackRestarts: constant(1),
  attackRadius: constant(1),
  warmupStart: derived(
    '0 for mnist, 1 of 160 epochs for cifar10',
    (known) => stretch(recipeOf(known), known.epochs).warmupStart,
  ),
  warmupEpochs: derived(
    '20 of 70 epochs for mnist, 80 of 160 for cifar10',
    (known) => stretch(recipeOf(known), known.epochs).warmupEpochs,
  ),
  tapsStart: derived('the end of the warm-up', (known) => known.warmupStart + known.warmupEpochs),
  curriculum: constant('none'),
  curriculumStart: derived('warmup-start', (known) => known.warmupStart),
  curriculumEpochs: derived('warmup-epochs', (known) => known.warmupEpochs),
  warmupRegularizer: derived('0.5 with ibp initialization, else 0', (known) =>
    known.initialization === 'ibp' && known.relaxation !== 'none' ? 0.5 : 0,
  ),
  l1: constant(1e-6),

  smoothing: constant('none'),
  ...estimatorDefaults,

  optimizer: constant('adam'),
  learningRate: constant(5e-4),
  learningRateDecayEpochs: derived('50,60 of 70 epochs for mnist, 120,140 of 160 for cifar10', (known) => [
    ...stretch(recipeOf(known), known.epochs).learningRateDecayEpochs,
  ]),
  learningRateDecayFactor: constant(0.2),
  gradientClip: derived('10, 0 with smoothing pgpe', ({ smoothing }) => (smoothing === 'pgpe' ? 0 : 10)),
  batchSize: derived('256 for mnist, 128 for cifar10', (known) => recipeOf(known).batchSize),
  swaStart: derived('never', () => undefined),
  swaEvery: derived('those of an epoch', () => undefined),
  select: derived('best with validation, else last', ({ validation }) => (validation > 0 ? 'best' : 'last')),
  seed: constant(0),

  device: constant('cpu'),
  memory: derived('most of what the device has free', () => undefined),
  microBatch: derived(
    'batch-size, at most 64, fewer for large networks and tight relaxations; eight times as many on ' +
      'webgpu and cuda',
    defaultMicroBatch,
  ),
  threads: derived('available cores', () => availableParallelism()),
  checkpointEvery: constant(1),
  checkpointSeconds: constant(300),
  out: derived('runs/<dataset>-<architecture>-<relaxation or method>-<smoothing>-eps<ε>-seed<n>', (known) => {
    const radius = `eps${Number(known.epsilon.toPrecision(3))}`;
    const parts = [shortImages(known), shortLayers(known), shortMethod(known), known.smoothing, radius];
    return `runs/${parts.join('-')}-seed${known.seed}`;
  }),
};
