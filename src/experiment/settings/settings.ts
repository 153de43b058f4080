/**
 * The settings of a training run: one schema for the configuration file, the command line and the library.
 *
 * Names are camelCase here and kebab-case in files and flags (`epsilon`, `warmup-epochs`). Each setting
 * carries what it means and its unit; its default is in `defaults.ts`, the conditions between settings in
 * `resolve-settings.ts`. Everything a user sees (flags, help, error lines, the configuration file of a run)
 * is generated from this schema.
 */
import { z } from 'zod';
import { DEVICE_CHOICES } from '../../runtime/device/device.js';
import {
  ARCHITECTURES,
  AUGMENTATIONS,
  DATASETS,
  INITIALIZATIONS,
  INTERSECTION,
  METHODS,
  type Method,
  OPTIMIZERS,
  RELAXATIONS,
  SELECTIONS,
  SHAPINGS,
  SIGMA_DECAYS,
  SIGMA_MODES,
  SMOOTHINGS,
  type Smoothing,
  TAPS_ESTIMATORS,
} from './choices.js';

/** What a person needs to know about one setting. */
export interface SettingInfo {
  readonly description: string;
  readonly unit?: string;
  /**
   * Only meaningful with one of these smoothings, or of these methods; elsewhere a value other than the
   * default is refused.
   */
  readonly only?: readonly Smoothing[] | readonly Method[];
  /** May differ when a run is resumed: it changes where and how fast the run computes, not what. */
  readonly changeable?: true;
}

const information = z.registry<SettingInfo>();

const positive = () => z.number().positive();
const count = (least = 1) =>
  z
    .int()
    .min(least)
    .max(2 ** 31 - 1);
const proportion = () => z.number().min(0).max(1);
const amount = () => z.number().min(0);
/** One of RELAXATIONS, or several different ones joined, `none` apart. */
const relaxationNames = () => {
  const bounds: readonly string[] = RELAXATIONS.filter((name) => name !== 'none');
  const isName = (text: string): boolean => {
    const parts = text.split(INTERSECTION);
    return (
      text === 'none' ||
      (parts.every((part) => bounds.includes(part)) && new Set(parts).size === parts.length)
    );
  };
  return z.string().refine(isName).meta({ choices: RELAXATIONS, joinedBy: INTERSECTION });
};
const setting = <S extends z.ZodType>(
  schema: S,
  description: string,
  info: Omit<SettingInfo, 'description'> = {},
): S => {
  information.add(schema, { description, ...info });
  return schema;
};

/** Methods that train on adversarial examples, and those that mix them with a bound by α. */
const ATTACKED: readonly Method[] = ['pgd', 'sabr', 'taps', 'staps', 'mtl-ibp', 'cc-ibp', 'exp-ibp'];
const EXPRESSIVE: readonly Method[] = ['mtl-ibp', 'cc-ibp', 'exp-ibp'];

export const settingsSchema = z.strictObject({
  // Data
  dataset: setting(z.enum(DATASETS), 'data set to train on'),
  dataDir: setting(z.string().min(1).optional(), 'folder with the files of the data set', {
    changeable: true,
  }),
  trainLimit: setting(count().optional(), 'train on this many images only, the first ones'),
  validation: setting(count(0), 'training images held out to watch the accuracy on'),
  augmentation: setting(
    z.enum(AUGMENTATIONS),
    'random changes of training images: flip left to right, crop after repeating the edges',
  ),

  // Network
  architecture: setting(
    z.enum(ARCHITECTURES),
    'network architecture; -bn: with batch normalisation, statistics of the clean images, folded away in ' +
      'what is exported',
  ),
  initialization: setting(z.enum(INITIALIZATIONS), 'how weights are drawn'),
  normalize: setting(z.boolean(), 'make (x − mean) / std of the data set the first layer'),

  // Objective
  method: setting(
    z.enum(METHODS),
    'training method, the robust loss; certified: the bound of the relaxation over the whole ball',
  ),
  relaxation: setting(
    relaxationNames(),
    'bound of the robust loss, names joined by + for the best of several; none: natural or adversarial ' +
      'training',
  ),
  epsilon: setting(z.number().gt(0).max(1), 'radius ε of the ball around an image, ‖x′ − x‖∞ ≤ ε', {
    unit: 'pixel units of [0, 1], fractions like 2/255 may be used',
  }),
  clipBox: setting(z.boolean(), 'cut the ball to the pixel range [0, 1]'),
  lossFusion: setting(
    z.boolean(),
    'bound the robust loss at once instead of each margin, with crown-ibp: cheaper, but looser (Xu 2020)',
    {
      only: ['certified'],
    },
  ),
  kappa: setting(proportion(), 'weight κ of the robust loss after the warm-up, (1 − κ)·natural + κ·robust'),
  kappaStart: setting(proportion(), 'weight κ of the robust loss before the warm-up'),
  lambda: setting(z.number().gt(0).max(1), 'radius λ of the small box of SABR, in units of ε', {
    only: ['sabr', 'staps'],
  }),
  alpha: setting(proportion(), 'weight α of the bound against the attack', { only: EXPRESSIVE }),
  tapsBlock: setting(
    count(),
    'ReLU layers of the classifier block of TAPS, which is attacked; bounds go through the others',
    { only: ['taps', 'staps'] },
  ),
  tapsEstimator: setting(
    z.enum(TAPS_ESTIMATORS),
    'attacks in the embedding: one for each wrong class, slow where there are many, or a single one',
    {
      only: ['taps', 'staps'],
    },
  ),
  tapsWeight: setting(
    amount(),
    'weight of the gradient of the TAPS loss in that of its product with the IBP loss',
    { only: ['taps', 'staps'] },
  ),
  attackSteps: setting(count(), 'gradient steps of the attack that training uses', { only: ATTACKED }),
  attackStepSize: setting(positive(), 'first step of that attack, in units of its radius', {
    only: ATTACKED,
  }),
  warmupStart: setting(amount(), 'when ε starts to grow from 0', { unit: 'epochs' }),
  warmupEpochs: setting(amount(), 'how long ε grows', { unit: 'epochs' }),
  warmupRegularizer: setting(amount(), 'weight λ of the warm-up regulariser λ·(1 − ε_t/ε) (Shi 2021)'),
  l1: setting(amount(), 'weight of the sum of absolute weights'),

  // Smoothing
  smoothing: setting(
    z.enum(SMOOTHINGS),
    'gradient estimator; none: plain gradient, rgs: averaged over perturbations, pgpe: from loss values only',
  ),
  samples: setting(count(), 'perturbations per step, antithetic pairs for pgpe', { only: ['rgs', 'pgpe'] }),
  sigma: setting(positive(), 'standard deviation σ of the perturbation of each parameter', {
    only: ['rgs', 'pgpe'],
  }),
  sigmaDecay: setting(z.enum(SIGMA_DECAYS), 'how the factor of σ goes from 1 to sigma-decay-factor', {
    only: ['rgs', 'pgpe'],
  }),
  sigmaDecayUntil: setting(z.number().gt(0).max(1), 'when the decay of σ is done', {
    unit: 'parts of the run',
    only: ['rgs', 'pgpe'],
  }),
  sigmaDecayFactor: setting(proportion(), 'factor of σ after its decay; 0: plain gradient from there on', {
    only: ['rgs', 'pgpe'],
  }),
  sigmaMode: setting(z.enum(SIGMA_MODES), 'what has a σ of its own', { only: ['pgpe'] }),
  sigmaLearningRate: setting(amount(), 'step size of learned σ; 0: σ is not learned', { only: ['pgpe'] }),
  sigmaMin: setting(positive(), 'smallest learned σ, before decay', { only: ['pgpe'] }),
  sigmaMax: setting(positive(), 'largest learned σ, before decay', { only: ['pgpe'] }),
  shaping: setting(z.enum(SHAPINGS), 'transformation of the loss values of a population', { only: ['pgpe'] }),

  // Optimisation
  optimizer: setting(z.enum(OPTIMIZERS), 'update rule'),
  learningRate: setting(positive(), 'step size'),
  learningRateDecayEpochs: setting(
    z.array(count()),
    'after which epochs the step size is decayed, a list like 50,60, or none',
  ),
  learningRateDecayFactor: setting(z.number().gt(0).max(1), 'factor of each decay of the step size'),
  gradientClip: setting(amount(), 'largest norm of the gradient, a longer one is shortened; 0: no limit'),
  batchSize: setting(count(), 'images per step'),
  epochs: setting(count(), 'passes over the training images'),
  swaStart: setting(
    count().optional(),
    'average the networks at the ends of epochs from this one on, and export the average',
    { unit: 'epochs' },
  ),
  select: setting(
    z.enum(SELECTIONS),
    'network to export: of the last epoch, or of the best one on the validation images',
  ),
  seed: setting(
    z
      .int()
      .min(0)
      .max(2 ** 32 - 1),
    'seed of everything random',
  ),

  // Machine and run
  device: setting(
    z.enum(DEVICE_CHOICES),
    'where programs run; auto: the fastest that passes its self-test, see `tautnet devices`',
    { changeable: true },
  ),
  memory: setting(
    count().optional(),
    'memory of the device that programs may take: how many perturbations run in one call',
    {
      unit: 'megabytes',
      changeable: true,
    },
  ),
  microBatch: setting(
    count(),
    'images per program call; smaller needs less memory; batch normalisation takes its statistics from ' +
      'each micro-batch',
    {
      changeable: true,
    },
  ),
  threads: setting(count().max(1024), 'worker threads', { changeable: true }),
  checkpointEvery: setting(count(), 'epochs between checkpoints', { changeable: true }),
  checkpointSeconds: setting(amount(), 'also a checkpoint when the last is this old (0: after epochs only)', {
    unit: 'seconds',
    changeable: true,
  }),
  out: setting(z.string().min(1), 'run folder to create'),
});

/** Every setting with its value. Plain data: what the configuration file of a run holds. */
export type Settings = Readonly<z.infer<typeof settingsSchema>>;
export type SettingName = keyof Settings;
/** What a user gave, in the library's names. */
export type GivenSettings = Partial<Settings>;

export const SETTING_NAMES = Object.keys(settingsSchema.shape) as readonly SettingName[];

/** The schema of one setting, without `optional`. */
export function schemaOf(name: SettingName): z.ZodType {
  const schema: z.ZodType = settingsSchema.shape[name];
  return schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema;
}

export function informationOf(name: SettingName): SettingInfo {
  return information.get(settingsSchema.shape[name]) as SettingInfo;
}

/** Which other setting decides whether this one has an effect, if any does. */
export function conditionOf(name: SettingName): 'smoothing' | 'method' | undefined {
  const first = informationOf(name).only?.[0];
  if (first === undefined) return undefined;
  return (SMOOTHINGS as readonly string[]).includes(first) ? 'smoothing' : 'method';
}

/**
 * Whether a setting has no effect with the smoothing and the method chosen; what is not known yet rules
 * nothing out.
 */
export function isIdle(name: SettingName, chosen: Partial<Pick<Settings, 'smoothing' | 'method'>>): boolean {
  const condition = conditionOf(name);
  const choice = condition && chosen[condition];
  return choice !== undefined && !(informationOf(name).only as readonly string[]).includes(choice);
}
