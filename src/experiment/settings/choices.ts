/**
 * The names a user may choose from. Each list follows from the registry that maps a name to its
 * implementation, so that a name is written once; flags, help, configuration files and error messages follow
 * from these lists.
 */
import { AUGMENTATIONS, type AugmentationName } from '../../data/augmentation.js';
import { type DatasetName, datasetNames } from '../../data/datasets.js';
import { type ArchitectureName, architectureNames } from '../../network/architectures.js';
import { type InitializationScheme, initializationSchemes } from '../../network/initialization.js';
import { type MethodName, methods } from '../../objective/methods.js';
import { TAPS_ESTIMATORS, TAPS_PRODUCTS } from '../../objective/taps.js';
import { INTERSECTION, type RelaxationName, relaxations } from '../../relaxation/index.js';
import { type EstimatorName, estimators } from '../../smoothing/index.js';
import { type RuleName, rules } from '../../training/rules/index.js';

const namesOf = <Name extends string>(registry: Readonly<Record<Name, unknown>>): readonly Name[] =>
  Object.keys(registry) as Name[];

export const DATASETS = datasetNames;
/** Fully connected and convolutional networks of the literature, by the names papers use for them. */
export const ARCHITECTURES: readonly ArchitectureName[] = architectureNames;
export const INITIALIZATIONS = initializationSchemes;
export const METHODS = namesOf<MethodName>(methods);
/** The bound that the robust loss is made of; `none` is natural or adversarial training. */
export const RELAXATIONS = [...namesOf<RelaxationName>(relaxations), 'none'] as const;
/** The gradient estimator; `none` is the plain stochastic gradient (GRAD). */
export const SMOOTHINGS = namesOf<EstimatorName>(estimators);
export const OPTIMIZERS = namesOf<RuleName>(rules);
/** What batch normalisation takes its statistics from. */
export const BATCH_STATISTICS = ['batch', 'micro-batch'] as const;
/** Which epoch's network is exported. */
export const SELECTIONS = ['last', 'best'] as const;
export { AUGMENTATIONS, INTERSECTION, TAPS_ESTIMATORS, TAPS_PRODUCTS };

export type Dataset = DatasetName;
/** A name, or a description of layers. */
export type Architecture = string;
export type Initialization = InitializationScheme;
export type Method = MethodName;
export type Relaxation = (typeof RELAXATIONS)[number];
export type Smoothing = EstimatorName;
export type Selection = (typeof SELECTIONS)[number];
export type { AugmentationName };
