/**
 * The settings of gradient estimators. Bounds, choices, defaults and the estimators that take a setting
 * follow from the estimators' schemas: a new option is a line of its schema and a line of `PLACES`.
 */
import { z } from 'zod';
import {
  type EstimatorName,
  type EstimatorOptions,
  estimators,
  type Perturbed,
  type PgpeOptions,
  type SigmaMode,
} from '../../smoothing/index.js';
import { type SigmaDecay, sigmaDecaySchema } from '../../smoothing/sigma-schedule.js';
import type { SettingInfo } from './setting-info.js';

/** Where an option stands among those of an estimator, and what it means. */
interface Place<Value> extends Omit<SettingInfo, 'only'> {
  readonly path: readonly string[];
  /** Type of the value only. */
  readonly value?: Value;
}
const at = <Value>(path: readonly string[], description: string, unit?: string): Place<Value> => ({
  path,
  description,
  unit,
});

const PLACES = {
  samples: at<number>(['samples'], 'perturbations per step, antithetic pairs for pgpe'),
  sigma: at<number>(['sigma'], 'standard deviation σ of the perturbation of each parameter'),
  sigmaDecay: at<SigmaDecay['shape']>(
    ['sigmaDecay', 'shape'],
    'how the factor of σ goes from 1 to sigma-decay-factor',
  ),
  sigmaDecayUntil: at<number>(['sigmaDecay', 'until'], 'when the decay of σ is done', 'parts of the run'),
  sigmaDecayFactor: at<number>(
    ['sigmaDecay', 'final'],
    'factor of σ after its decay; 0: plain gradient from there on',
  ),
  sigmaMode: at<SigmaMode>(
    ['sigmaMode'],
    'what has a σ of its own; relative: σ of each layer is sigma times the root mean square of its weights',
  ),
  perturbed: at<Perturbed>(['perturbed'], 'perturb weights and biases, or weights only'),
  antithetic: at<boolean>(['antithetic'], 'gradients in pairs at θ ± σz, in which curvature cancels'),
  unbiased: at<boolean>(
    ['unbiased'],
    'add what jumps of the loss contribute to the gradient of its average, for one forward pass a sample',
  ),
  sigmaLearningRate: at<number>(['sigmaLearningRate'], 'step size of learned σ; 0: σ is not learned'),
  sigmaMin: at<number>(['sigmaMin'], 'smallest learned σ, before decay'),
  sigmaMax: at<number>(['sigmaMax'], 'largest learned σ, before decay'),
  shaping: at<NonNullable<PgpeOptions['shaping']>>(
    ['shaping'],
    'transformation of the loss values of a population',
  ),
  controlVariate: at<NonNullable<PgpeOptions['controlVariate']>>(
    ['controlVariate'],
    'gradient that the losses correct: of the loss, or of rgs; that of crown where a solver gives the bound',
  ),
  controlSamples: at<number>(['controlSamples'], 'gradients of the control variate rgs'),
};

export type EstimatorSetting = keyof typeof PLACES;
type ValueOf<Name extends EstimatorSetting> = NonNullable<(typeof PLACES)[Name]['value']>;
export type EstimatorSettings = { readonly [Name in EstimatorSetting]: ValueOf<Name> };

export const ESTIMATOR_SETTINGS = Object.keys(PLACES) as readonly EstimatorSetting[];
const ESTIMATORS = Object.keys(estimators) as readonly EstimatorName[];

/** A schema without its default, its preparation and its refinements. */
function core(schema: unknown): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return core(schema.unwrap());
  if (schema instanceof z.ZodPipe) return core(schema.in instanceof z.ZodTransform ? schema.out : schema.in);
  return schema as z.ZodType;
}

/** The schema of a place among an estimator's options; undefined where it has none. */
function schemaAt(estimator: EstimatorName, path: readonly string[]): z.ZodType | undefined {
  let schema = core(estimators[estimator].schema);
  for (const key of path) {
    const next: unknown = schema instanceof z.ZodObject ? schema.shape[key] : undefined;
    if (next === undefined) return undefined;
    schema = core(next);
  }
  return schema;
}

/** The estimators that take a setting, in the registry's order. */
const TAKERS = new Map<string, readonly EstimatorName[]>(
  ESTIMATOR_SETTINGS.map((name) => [
    name,
    ESTIMATORS.filter((each) => schemaAt(each, PLACES[name].path) !== undefined),
  ]),
);

/** The estimators that take a setting; undefined for a setting that is none of an estimator. */
export const estimatorsTaking = (name: string): readonly EstimatorName[] | undefined => TAKERS.get(name);

/** A schema that takes what all estimators with this option take; of a choice, what any of them takes. */
function commonSchema(name: EstimatorSetting): z.ZodType {
  const [first, ...others] = (TAKERS.get(name) as readonly EstimatorName[]).map(
    (each) => schemaAt(each, PLACES[name].path) as z.ZodType,
  );
  if (first === undefined)
    throw new TypeError(`expected an estimator with the option ${PLACES[name].path.join('.')}, got none`);
  const all = [first, ...others];
  if (all.every((schema) => schema instanceof z.ZodEnum))
    return z.enum([...new Set(all.flatMap(({ options }) => options as string[]))]);
  return others.reduce((both, other) => z.intersection(both, other), first);
}

/** The values of a choice that an estimator takes; undefined for what is no choice. */
export function choicesFor(name: EstimatorSetting, estimator: EstimatorName): readonly string[] | undefined {
  const schema = schemaAt(estimator, PLACES[name].path);
  return schema instanceof z.ZodEnum ? (schema.options as string[]) : undefined;
}

/** Of each setting its schema and its description. */
export const estimatorSchemas = Object.fromEntries(
  ESTIMATOR_SETTINGS.map((name) => [name, commonSchema(name)]),
) as unknown as { readonly [Name in EstimatorSetting]: z.ZodType<ValueOf<Name>> };
export const estimatorInfo = (name: EstimatorSetting): Omit<SettingInfo, 'only'> => PLACES[name];

type Known = Partial<EstimatorSettings> & { readonly smoothing: EstimatorName };

/** The estimator whose defaults hold: the chosen one, or the first that has the option. */
const holder = (name: EstimatorSetting, smoothing: EstimatorName): EstimatorName => {
  const takers = TAKERS.get(name) as readonly EstimatorName[];
  return takers.includes(smoothing) ? smoothing : (takers[0] as EstimatorName);
};

const valueAt = (options: unknown, path: readonly string[]): unknown =>
  path.reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], options);

/** Most decays of σ go to 0, where estimators without a gradient of L have no estimate; theirs stop here. */
const SMALLEST_FACTOR = 0.1;

/** The factor that the decay's shape ends at, if the estimator takes it. */
function finalFactor({ smoothing, sigmaDecay: shape }: Known): number {
  const { final } = sigmaDecaySchema.parse(shape ?? 'constant');
  const { schema } = estimators[holder('sigmaDecayFactor', smoothing)];
  return schema.safeParse({ sigmaDecay: { shape, final } }).success ? final : SMALLEST_FACTOR;
}

/** The default of a setting from the estimator's schema; bounds of σ follow the σ that is known. */
export function estimatorDefault<Name extends EstimatorSetting>(name: Name, known: Known): ValueOf<Name> {
  if (name === 'sigmaDecayFactor') return finalFactor(known) as ValueOf<Name>;
  const { schema } = estimators[holder(name, known.smoothing)];
  const options = name === 'sigma' || known.sigma === undefined ? {} : { sigma: known.sigma };
  return valueAt(schema.parse(options), PLACES[name].path) as ValueOf<Name>;
}

/** "linear for rgs, constant for pgpe", "0.1 sigma": the default in words. */
export function defaultInWords(name: EstimatorSetting): string {
  if (name === 'sigmaDecayFactor')
    return `what the decay ends at: 1, 0, or 0.01 if exponential; ${SMALLEST_FACTOR} for pgpe instead of 0`;
  const takers = TAKERS.get(name) as readonly EstimatorName[];
  const [one, two] = [1, 2].map((sigma) =>
    estimatorDefault(name, { smoothing: takers[0] as EstimatorName, sigma }),
  );
  if (one !== two) return `${one} sigma`;
  const values = takers.map((smoothing) => String(estimatorDefault(name, { smoothing })));
  if (new Set(values).size === 1) return values[0] as string;
  return takers.map((each, i) => `${values[i]} for ${each}`).join(', ');
}

/** For `createEstimator(settings.smoothing, estimatorOptions(settings))`; σ's bounds are in units of θ. */
export function estimatorOptions(settings: Known): EstimatorOptions[EstimatorName] {
  const { smoothing } = settings;
  const options: Record<string, unknown> = {};
  for (const name of ESTIMATOR_SETTINGS) {
    if (!TAKERS.get(name)?.includes(smoothing)) continue;
    const [head, part] = PLACES[name].path as [string, string?];
    options[head] =
      part === undefined ? settings[name] : { ...(options[head] as object), [part]: settings[name] };
  }
  return schemaAt(smoothing, ['sigmaBounds']) === undefined
    ? options
    : { ...options, sigmaBounds: 'absolute' };
}
