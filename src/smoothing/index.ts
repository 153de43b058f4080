/** Estimators of the gradient of an objective or of its Gaussian average, by name. */
import type { Estimator } from './estimator.js';
import { type NoneOptions, none, noneSchema } from './none.js';
import { type PgpeOptions, pgpe, pgpeSchema } from './pgpe.js';
import { type RgsOptions, rgs, rgsSchema } from './rgs.js';

export type * from '../evaluation/batch-objective.js';
export { functionObjective } from '../evaluation/function-objective.js';
export type { GroupedSigma, Sigma } from '../evaluation/sigma.js';
export * from './estimator.js';
export type { ParameterRange, Perturbed } from './layer-scales.js';
export { type NoneOptions, none } from './none.js';
export { type PgpeOptions, pgpe } from './pgpe.js';
export { type RgsOptions, type RgsState, rgs } from './rgs.js';
export type { SearchDistribution, SigmaMode } from './search-distribution.js';
export { type SearchGradient, type SigmaGroups, searchGradient } from './search-gradient.js';
export type { SigmaDecayOptions } from './sigma-schedule.js';

/** The options of each estimator, by its name. */
export interface EstimatorOptions {
  readonly none: NoneOptions;
  readonly rgs: RgsOptions;
  readonly pgpe: PgpeOptions;
}
/** Names of the gradient estimators: `none`, `rgs`, `pgpe`. */
export type EstimatorName = keyof EstimatorOptions;

/** Each estimator's schema of options and its constructor. */
export const estimators = {
  none: { schema: noneSchema, create: none },
  rgs: { schema: rgsSchema, create: rgs },
  pgpe: { schema: pgpeSchema, create: pgpe },
} as const;

/** The estimator of that name; its options are checked, and each has a default. */
export function createEstimator<Name extends EstimatorName>(
  name: Name,
  options?: EstimatorOptions[Name],
): Estimator {
  const entry = Object.hasOwn(estimators, name)
    ? (estimators[name] as { create: (options?: EstimatorOptions[Name]) => Estimator })
    : undefined;
  if (entry === undefined)
    throw new TypeError(`expected an estimator, one of ${Object.keys(estimators).join(', ')}; got "${name}"`);
  return entry.create(options);
}
