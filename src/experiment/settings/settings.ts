/**
 * The settings of a training run: one schema for the configuration file, the command line and the library.
 *
 * Names are camelCase here and kebab-case in files and flags (`epsilon`, `warmup-epochs`). Each setting
 * carries what it means and its unit; those of gradient estimators are in
 * `estimator-settings.ts`; defaults are in `defaults.ts`, the conditions between settings in
 * `resolve-settings.ts`. Everything a user sees (flags, help, error lines, the configuration file of a run)
 * is generated from this schema.
 */
import { z } from 'zod';
import { poolingFrom } from '../../data/pooled.js';
import { isArchitecture } from '../../network/architectures.js';
import { methods } from '../../objective/methods.js';
import { DEVICE_CHOICES } from '../../runtime/device/device.js';
import {
  ARCHITECTURES,
  AUGMENTATIONS,
  BATCH_STATISTICS,
  DATASETS,
  INITIALIZATIONS,
  INTERSECTION,
  METHODS,
  type Method,
  OPTIMIZERS,
  RELAXATIONS,
  SELECTIONS,
  SMOOTHINGS,
  TAPS_ESTIMATORS,
  TAPS_PRODUCTS,
} from './choices.js';
import {
  ESTIMATOR_SETTINGS,
  estimatorInfo,
  estimatorSchemas,
  estimatorsTaking,
} from './estimator-settings.js';
import type { SettingInfo } from './setting-info.js';

/** What a description of layers looks like, for people and, roughly, for editors. */
const ARCHITECTURE_TEXT = {
  form: 'layers like "conv 4@5 s2 p2, linear 100, linear"',
  pattern: '^((conv|linear) [^,]+, *)*linear$',
};

const information = z.registry<Omit<SettingInfo, 'only'>>();

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
/** A radius in pixels, or a factor of ε: "1.5x". */
const radiusOrFactor = () =>
  z
    .union([
      z.number().gt(0).max(1),
      z
        .string()
        .regex(/^(\d+\.?\d*|\.\d+)x$/)
        .refine((text) => Number.parseFloat(text) > 0),
    ])
    .meta({ factorOf: 'epsilon' });
const setting = <S extends z.ZodType>(
  schema: S,
  description: string,
  info: Omit<SettingInfo, 'description' | 'only'> = {},
): S => {
  information.add(schema, { description, ...info });
  return schema;
};

export const settingsSchema = z.strictObject({
  // Data
  dataset: setting(z.enum(DATASETS), 'data set to train on'),
  dataDir: setting(z.string().min(1).optional(), 'folder with the files of the data set', {
    changeable: true,
  }),
  pool: setting(
    z
      .string()
      .refine((text) => text === 'none' || poolingFrom(text) !== undefined)
      .meta({
        form: 'none, or a number and max or mean, like "2 max"',
        pattern: '^(none|[1-9][0-9]? +(max|mean))$',
      }),
    'make images smaller: squares of so many pixels a side become their largest or their mean; ε is a ' +
      'radius around what results',
    { words: true },
  ),
  trainLimit: setting(count().optional(), 'train on this many images only, the first ones'),
  validation: setting(count(0), 'training images held out to watch the accuracy on'),
  augmentation: setting(
    z.enum(AUGMENTATIONS),
    'random changes of training images: flip left to right, crop after repeating the edges',
  ),

  // Network
  architecture: setting(
    z
      .string()
      .refine(isArchitecture)
      .meta({ choices: ARCHITECTURES, ...ARCHITECTURE_TEXT }),
    'network by name, or by its layers like "conv 4@5 s2 p2, linear"; -bn: batch normalisation, folded ' +
      'away in what is exported',
  ),
  batchStatistics: setting(
    z.enum(BATCH_STATISTICS),
    'images that batch normalisation takes its statistics from: all of a batch, in passes of their own ' +
      'where it is cut into micro-batches, or those of each micro-batch',
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
  trainEpsilon: setting(
    radiusOrFactor(),
    'radius of the ball in training, or a factor of epsilon like 1.5x; networks are judged at epsilon',
    { unit: 'pixel units of [0, 1]' },
  ),
  clipBox: setting(z.boolean(), 'cut the ball to the pixel range [0, 1]'),
  lossFusion: setting(
    z.boolean(),
    'bound the robust loss at once instead of each margin, with crown-ibp: cheaper, but looser (Xu 2020)',
  ),
  kappa: setting(proportion(), 'weight κ of the robust loss after the warm-up, (1 − κ)·natural + κ·robust'),
  kappaStart: setting(proportion(), 'weight κ of the robust loss before the warm-up'),
  lambda: setting(z.number().gt(0).max(1), 'radius λ of the small box of SABR, in units of ε'),
  reluShrinking: setting(
    z.number().gt(0).max(1),
    'part of their upper end that unstable ReLUs of SABR keep, with ibp (Müller 2023)',
  ),
  alpha: setting(proportion(), 'weight α of the bound against the attack'),
  tapsBlock: setting(
    count(),
    'ReLU layers of the classifier block of TAPS, which is attacked; bounds go through the others',
  ),
  tapsEstimator: setting(
    z.enum(TAPS_ESTIMATORS),
    'attacks in the embedding: one for each wrong class, slow where there are many, or a single one',
  ),
  tapsProduct: setting(
    z.enum(TAPS_PRODUCTS),
    'the losses of TAPS and IBP are multiplied image by image (Mao 2023), or their means over the batch ' +
      '(CTBench), which takes the batch in one program call',
  ),
  tapsWeight: setting(
    amount(),
    'weight of the gradient of the TAPS loss in that of its product with the IBP loss',
  ),
  attackSteps: setting(count(), 'gradient steps of the attack that training uses'),
  attackStepSize: setting(positive(), 'first step of that attack, in units of its radius'),
  attackRestarts: setting(count(), 'random starts of that attack; the best point of all of them is taken'),
  attackRadius: setting(
    positive(),
    'radius of the ball that the attack on the pixels searches, in units of the training ε',
  ),
  warmupStart: setting(amount(), 'when ε starts to grow from 0', { unit: 'epochs' }),
  warmupEpochs: setting(amount(), 'how long ε grows', { unit: 'epochs' }),
  tapsStart: setting(amount(), 'when TAPS takes over from its warm-up: IBP, with staps over the small box', {
    unit: 'epochs',
  }),
  curriculum: setting(
    relaxationNames(),
    'loose bound that training begins with and blends into the relaxation, (1 − β)·loose + β·tight; none: ' +
      'no curriculum',
  ),
  curriculumStart: setting(amount(), 'when β of the curriculum starts to grow from 0', { unit: 'epochs' }),
  curriculumEpochs: setting(amount(), 'how long β grows to 1, linearly', { unit: 'epochs' }),
  warmupRegularizer: setting(amount(), 'weight λ of the warm-up regulariser λ·(1 − ε_t/ε) (Shi 2021)'),
  l1: setting(amount(), 'weight of the sum of absolute weights'),

  // Smoothing
  smoothing: setting(
    z.enum(SMOOTHINGS),
    'gradient estimator; none: plain gradient, rgs: averaged over perturbations, pgpe: from loss values only',
  ),
  ...estimatorSchemas,

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
  swaEvery: setting(count().optional(), 'average the network after every so many steps instead', {
    unit: 'steps',
  }),
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
    'images per program call: more are faster for small networks, fewer need less memory',
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

for (const name of ESTIMATOR_SETTINGS) information.add(settingsSchema.shape[name], estimatorInfo(name));

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

/** Settings that say what a run computes, not where its files lie and how fast it computes. */
export const EXPERIMENT_SETTINGS: readonly SettingName[] = SETTING_NAMES.filter(
  (name) => name !== 'out' && information.get(settingsSchema.shape[name])?.changeable !== true,
);

/** Methods that use a setting; undefined for a setting that is no option of a method. */
function methodsUsing(name: SettingName): readonly Method[] | undefined {
  const users = METHODS.filter((method) => (methods[method].uses as readonly string[]).includes(name));
  return users.length > 0 ? users : undefined;
}

export function informationOf(name: SettingName): SettingInfo {
  const info = information.get(settingsSchema.shape[name]) as Omit<SettingInfo, 'only'>;
  return { ...info, only: methodsUsing(name) ?? estimatorsTaking(name) };
}

/** Which other setting decides whether this one has an effect, if any does. */
export function conditionOf(name: SettingName): 'smoothing' | 'method' | undefined {
  if (estimatorsTaking(name) !== undefined) return 'smoothing';
  return methodsUsing(name) === undefined ? undefined : 'method';
}

/** Settings of a curriculum, which may be none. */
const OF_CURRICULUM: readonly SettingName[] = ['curriculumStart', 'curriculumEpochs'];

/**
 * Whether a setting has no effect with the smoothing, the method and the curriculum chosen; what is not known
 * yet rules nothing out.
 */
export function isIdle(
  name: SettingName,
  chosen: Partial<Pick<Settings, 'smoothing' | 'method' | 'curriculum'>>,
): boolean {
  if (OF_CURRICULUM.includes(name)) return chosen.curriculum === 'none';
  const condition = conditionOf(name);
  const choice = condition && chosen[condition];
  return choice !== undefined && !(informationOf(name).only as readonly string[]).includes(choice);
}

/** Names of the settings that are given and have an effect, in the schema's order. */
export const settingsInUse = (settings: GivenSettings): readonly SettingName[] =>
  SETTING_NAMES.filter((name) => settings[name] !== undefined && !isIdle(name, settings));
