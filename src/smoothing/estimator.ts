/**
 * The interface between an objective L(θ) and the estimators of a gradient of it (or of its Gaussian
 * average).
 *
 * An estimator knows no relaxation: it sees values and gradients of L at θ and at θ + σ∘z, where z ∼ N(0, I)
 * is never stored but regenerated from (seed, step, sample) by the counter-based generator of
 * `runtime/random`. Nor does it know where θ and the gradients are, as it never looks inside: on a device
 * they need not leave it.
 */

import type { z } from 'zod';
import type { BatchObjective, Vector } from '../evaluation/batch-objective.js';
import { deriveKey, type Key } from '../runtime/random/keys.js';
import type { ParameterRange } from './layer-scales.js';

/** An estimate of the gradient of the smoothed loss, and the estimator's next state. */
export interface Estimate<State> {
  readonly state: State;
  /** The estimate of ∇_θ. */
  readonly gradient: Vector;
  /** The loss to report: at θ for `none`, averaged over perturbations otherwise. */
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Where in a run an estimate is taken: schedules read `progress`, perturbations come from `key` and `step`.
 */
export interface EstimateContext {
  /** The run's key for perturbations. */
  readonly key: Key;
  /** Optimiser step, from 0. */
  readonly step: number;
  /** Epochs done, fractional, and in all. */
  readonly epoch: number;
  readonly epochs: number;
}

/** One gradient estimator. State is plain data (typed arrays, numbers) that a checkpoint can hold. */
export interface Estimator<State = unknown> {
  readonly name: string;
  /** Whether it needs ∂L/∂θ (and so a differentiable relaxation). */
  readonly needsGradient: boolean;
  /** Whether it looks at single points, so that θ has to be on the host (default false). */
  readonly needsHost?: boolean;
  /**
   * Arrays of the state, Float64Arrays on the host, that have a number for each coordinate and may be kept
   * where θ is.
   */
  readonly vectors?: readonly (keyof State & string)[];
  /** `layers` gives, for each parameter tensor, its range of coordinates and its name. */
  init(parameters: number, layers: readonly ParameterRange[]): State;
  estimate(
    state: State,
    theta: Vector,
    objective: BatchObjective,
    context: EstimateContext,
  ): Promise<Estimate<State>>;
}

/** Keys of the perturbations 0 … samples − 1 of one optimiser step. */
export function sampleKeys(key: Key, step: number, samples: number): Key[] {
  const stepKey = deriveKey(key, step, 0);
  return Array.from({ length: samples }, (_, sample) => deriveKey(stepKey, sample, 0));
}

/** An estimator's options by its schema. @throws TypeError, one line with the estimator and the option */
export function parseOptions<Schema extends z.ZodType>(
  estimator: string,
  schema: Schema,
  options: z.input<Schema>,
): z.output<Schema> {
  const parsed = schema.safeParse(options, { reportInput: true });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message, input }) => {
    const got = input === undefined || typeof input === 'object' ? '' : `, got ${JSON.stringify(input)}`;
    return `${path.length > 0 ? `${path.join('.')}: ` : ''}${message}${got}`;
  });
  throw new TypeError(`${estimator} options: ${problems.join('; ')}`);
}
