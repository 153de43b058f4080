/**
 * The names a user may choose from, in one place: the settings schema, the command line and the registries
 * that map a name to an implementation all read these lists, so that a name is written once and a missing
 * implementation is a type error.
 */

export const DATASETS = ['mnist', 'fashion-mnist', 'cifar10', 'svhn', 'tiny-imagenet'] as const;
/**
 * Random changes of training images: mirrored left to right; moved by up to a sixteenth of the width, edges
 * repeated.
 */
export const AUGMENTATIONS = ['none', 'flip', 'crop', 'flip-crop'] as const;
/** Fully connected and convolutional networks of the literature, by the names papers use for them. */
export const ARCHITECTURES = [
  'fc',
  'fc-small',
  'cnn3',
  'cnn3-bn',
  'cnn5',
  'cnn5-l',
  'cnn7',
  'cnn7-bn',
] as const;
/**
 * `kaiming`: uniform He initialisation; `ibp`: N(0, 2π/fan_in²), under which interval bounds keep their width
 * (Shi 2021).
 */
export const INITIALIZATIONS = ['kaiming', 'ibp'] as const;
/**
 * What is minimised besides the natural loss; `certified` is the bound of the relaxation over the whole ball.
 */
export const METHODS = [
  'natural',
  'pgd',
  'certified',
  'sabr',
  'taps',
  'staps',
  'mtl-ibp',
  'cc-ibp',
  'exp-ibp',
] as const;
/** How TAPS attacks the embedding: once for each wrong class, or once for the loss. */
export const TAPS_ESTIMATORS = ['multi', 'single'] as const;
/** Which epoch's network is exported. */
export const SELECTIONS = ['last', 'best'] as const;
/** The bound that the robust loss is made of; `none` is natural or adversarial training. */
export const RELAXATIONS = [
  'ibp',
  'hbox',
  'deepz',
  'crown-ibp',
  'crown',
  'alpha-crown',
  'lp',
  'exact',
  'none',
] as const;
/** Joins relaxations to their intersection, the best bound of each margin: `ibp+crown-ibp`. */
export const INTERSECTION = '+';
/** The gradient estimator; `none` is the plain stochastic gradient (GRAD). */
export const SMOOTHINGS = ['none', 'rgs', 'pgpe'] as const;
/** How σ is multiplied by a factor that goes from 1 to `sigma-decay-factor` over a run. */
export const SIGMA_DECAYS = ['constant', 'linear', 'cosine', 'exponential'] as const;
/** What one σ belongs to: all parameters, one parameter tensor, or one coordinate. */
export const SIGMA_MODES = ['global', 'layer', 'coordinate'] as const;
/** Transformation of the losses of a PGPE population before they weigh the perturbations. */
export const SHAPINGS = ['none', 'centered-rank'] as const;
export const OPTIMIZERS = ['adam', 'sgd', 'clipup'] as const;

export type Dataset = (typeof DATASETS)[number];
export type AugmentationName = (typeof AUGMENTATIONS)[number];
export type Architecture = (typeof ARCHITECTURES)[number];
export type Initialization = (typeof INITIALIZATIONS)[number];
export type Method = (typeof METHODS)[number];
export type Selection = (typeof SELECTIONS)[number];
export type Relaxation = (typeof RELAXATIONS)[number];
export type Smoothing = (typeof SMOOTHINGS)[number];
export type SigmaDecay = (typeof SIGMA_DECAYS)[number];
export type SigmaMode = (typeof SIGMA_MODES)[number];
export type Shaping = (typeof SHAPINGS)[number];
export type Optimizer = (typeof OPTIMIZERS)[number];
