/**
 * Random settings that fit together, as a user might give them: any subset, smoothing options only with
 * smoothing.
 */
import fc from 'fast-check';
import {
  ARCHITECTURES,
  AUGMENTATIONS,
  DATASETS,
  INITIALIZATIONS,
  OPTIMIZERS,
  RELAXATIONS,
  TAPS_ESTIMATORS,
} from '../experiment/settings/choices.js';
import { choicesOf } from '../experiment/settings/setting-text.js';
import type { GivenSettings } from '../experiment/settings/settings.js';
import { relaxationNamed } from '../relaxation/index.js';
import { DEVICE_CHOICES } from '../runtime/device/device.js';

/** No −0, which text does not carry. */
const number = (min: number, max: number, minExcluded = false) =>
  fc.double({ min, max, minExcluded, noNaN: true }).map((value) => value + 0);
const integer = (min: number, max: number) => fc.integer({ min, max });

const common = {
  dataset: fc.constantFrom(...DATASETS),
  augmentation: fc.constantFrom(...AUGMENTATIONS),
  architecture: fc.constantFrom(...ARCHITECTURES, 'conv 4@5 s2 p2, linear 20 bn, linear'),
  pool: fc.constantFrom('none', '2 max', '2 mean'),
  initialization: fc.constantFrom(...INITIALIZATIONS),
  normalize: fc.boolean(),
  epsilon: number(0, 1, true),
  trainEpsilon: fc.oneof(number(0, 1, true), fc.constant('1x'), fc.constant('.5x')),
  clipBox: fc.boolean(),
  l1: number(0, 1),
  warmupRegularizer: number(0, 10),
  optimizer: fc.constantFrom(...OPTIMIZERS),
  learningRate: number(0, 10, true),
  learningRateDecayFactor: number(0, 1, true),
  gradientClip: number(0, 1e6),
  batchSize: integer(1, 512),
  epochs: integer(1, 500),
  seed: integer(0, 2 ** 31 - 1),
  validation: integer(0, 5000),
  threads: integer(1, 1024),
  device: fc.constantFrom(...DEVICE_CHOICES),
  memory: integer(1, 1_000_000),
  checkpointEvery: integer(1, 100),
  checkpointSeconds: number(0, 1e6),
  dataDir: fc.string({ minLength: 1 }),
  out: fc.string({ minLength: 1 }),
};
const smoothed = {
  samples: integer(2, 512),
  sigma: number(1e-12, 10),
  sigmaDecay: fc.constantFrom(...(choicesOf('sigmaDecay') ?? [])),
  sigmaDecayUntil: number(0, 1, true),
};
const averaged = {
  sigmaMode: fc.constantFrom('global' as const, 'relative' as const),
  perturbed: fc.constantFrom('all' as const, 'weights' as const),
};
const learned = {
  sigmaMode: fc.constantFrom(...(choicesOf('sigmaMode') ?? [])),
  sigmaLearningRate: number(0, 1),
  shaping: fc.constantFrom(...(choicesOf('shaping') ?? [])),
};

const attacked = {
  attackSteps: integer(1, 100),
  attackStepSize: number(0, 10, true),
  attackRestarts: integer(1, 10),
};
const EXPRESSIVE = ['mtl-ibp', 'cc-ibp', 'exp-ibp'] as const;
/** Relaxations that fit any estimator, and intersections of some. */
const BOUNDS = [
  ...RELAXATIONS.filter((name) => name !== 'none' && relaxationNamed(name).differentiable),
  'ibp+crown-ibp',
  'deepz+hbox+crown',
];

export const someSettings: fc.Arbitrary<GivenSettings> = fc
  .tuple(
    fc.record(common, { requiredKeys: [] }),
    fc.oneof(
      fc.constant({}),
      fc.record(
        { smoothing: fc.constant('rgs' as const), ...smoothed, ...averaged },
        { requiredKeys: ['smoothing'] },
      ),
      fc.record(
        {
          smoothing: fc.constant('rgs' as const),
          ...smoothed,
          samples: integer(2, 64).map((pairs) => 2 * pairs),
          antithetic: fc.constant(true),
          unbiased: fc.boolean(),
        },
        { requiredKeys: ['smoothing', 'samples'] },
      ),
      fc.record(
        {
          smoothing: fc.constant('pgpe' as const),
          ...smoothed,
          controlVariate: fc.constant('rgs' as const),
          controlSamples: integer(1, 64),
        },
        { requiredKeys: ['smoothing', 'controlVariate'] },
      ),
      fc.record(
        { smoothing: fc.constant('pgpe' as const), ...smoothed, ...learned },
        { requiredKeys: ['smoothing'] },
      ),
    ),
    fc.oneof(
      fc.constant({ relaxation: 'none' as const }),
      fc.record(
        { method: fc.constant('pgd' as const), ...attacked, kappa: number(0, 1) },
        { requiredKeys: ['method'] },
      ),
      fc.record(
        {
          method: fc.constant('sabr' as const),
          relaxation: fc.constantFrom(...BOUNDS),
          lambda: number(0, 1, true),
          ...attacked,
          attackRadius: number(0, 4, true),
        },
        { requiredKeys: ['method'] },
      ),
      fc.record(
        {
          method: fc.constantFrom('taps' as const, 'staps' as const),
          tapsEstimator: fc.constantFrom(...TAPS_ESTIMATORS),
          tapsStart: number(0, 100),
          ...attacked,
        },
        { requiredKeys: ['method'] },
      ),
      fc.record(
        { method: fc.constantFrom(...EXPRESSIVE), alpha: number(0, 1), ...attacked },
        { requiredKeys: ['method'] },
      ),
      fc.record(
        {
          relaxation: fc.constantFrom('crown-ibp', 'crown'),
          curriculum: fc.constantFrom('ibp', 'hbox'),
          curriculumStart: fc.constant(0),
          curriculumEpochs: number(0, 1),
        },
        { requiredKeys: ['relaxation', 'curriculum', 'curriculumStart', 'curriculumEpochs'] },
      ),
      fc.record(
        { relaxation: fc.constantFrom(...BOUNDS), kappa: number(0, 1), kappaStart: number(0, 1) },
        { requiredKeys: [] },
      ),
    ),
  )
  .map((parts) => Object.assign({}, ...parts) as GivenSettings);
