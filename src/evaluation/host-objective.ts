/**
 * An objective on one batch as estimators see it, evaluated by a pool of workers: on the CPU micro-batches
 * and perturbations in parallel, on another device many perturbations in one call (`population`).
 */
import { parameterCount } from '../network/parameters.js';
import type { Objective, ObjectiveScalars } from '../objective/objective.js';
import type { Plan } from '../runtime/plan/plan.js';
import { inSharedMemory, type Pool } from '../runtime/pool/pool.js';
import type { ParameterSlice, TaskPerturbation } from '../runtime/pool/task.js';
import type { Key } from '../runtime/random/keys.js';
import type { BatchObjective, LossAndGradient, Perturbation } from '../smoothing/estimator.js';
import { type BatchValues, batchValues, microBatches, type PooledBatch, pairValues } from './batch-feeds.js';
import {
  type CallLimits,
  type Calls,
  evaluateTogether,
  inCalls,
  type MemberResult,
  type PopulationKind,
  together,
  weighTogether,
} from './population.js';
import { perCoordinate } from './sigma.js';
import { mean, scores } from './sums.js';

export type { PooledBatch } from './batch-feeds.js';

/** The plan that gives gradients. @throws TypeError if there is none */
export function gradientPlan({ gradient }: Objective): Plan {
  if (gradient === undefined)
    throw new TypeError(
      'this objective has no gradient: its relaxation is not differentiable; use the estimator pgpe',
    );
  return gradient;
}

/** A perturbation as workers draw it. */
const onHost = (perturbation: Perturbation | undefined): TaskPerturbation | undefined =>
  perturbation && { key: perturbation.key, sigma: perCoordinate(perturbation.sigma) };

export interface PooledOptions {
  /**
   * Evaluate perturbations together within these limits; by default one by one on the CPU, and together on
   * any other device.
   */
  readonly limits?: CallLimits;
}

/**
 * The objective on `batch`. `layout` says where each parameter array lies in θ. `attackKey`, needed where the
 * objective has attacks, is what their starts are drawn from: the same at every θ.
 */
export function pooledObjective(
  pool: Pool,
  objective: Objective,
  layout: readonly ParameterSlice[],
  batch: PooledBatch,
  scalars: ObjectiveScalars,
  attackKey?: Key,
  { limits: given }: PooledOptions = {},
): BatchObjective {
  const feeds = microBatches(objective, batch, scalars, attackKey);
  const count = batch.labels.length;
  const coordinates = parameterCount(layout);
  const sumOf = ({ outputs }: MemberResult) => batchValues(objective, outputs, count);
  // The sums of a step are of the perturbations that were evaluated last: they are cut alike, so that a
  // device has their numbers still.
  let last: Calls | undefined;
  const population = async (
    kind: PopulationKind,
    theta: Float32Array,
    perturbations: readonly (Perturbation | undefined)[],
  ) => {
    last = undefined;
    const each = together(perturbations);
    const limits: CallLimits | undefined = given ?? (pool.device === 'cpu' ? undefined : await pool.memory());
    if (each === undefined || limits === undefined) return undefined;
    const made = await inCalls({ objective, kind, each, limits }, (calls) =>
      evaluateTogether(pool, calls, layout, theta, each, feeds),
    );
    last = made?.calls;
    return made?.result;
  };
  return {
    async meanGradient(theta, perturbations) {
      const plan = gradientPlan(objective);
      const shared = inSharedMemory(theta);
      const made = await population('gradients', shared, perturbations);
      if (made)
        return mean(
          made.plus.map((member) => ({ ...sumOf(member), gradient: member.gradient as Float32Array })),
        );
      const points = await Promise.all(
        perturbations.map(onHost).map(async (perturbation): Promise<LossAndGradient> => {
          const parts = await Promise.all(
            feeds.map((feed) => pool.run({ plan, feeds: feed, theta: shared, layout, perturbation })),
          );
          const gradient = parts[0]?.gradient as Float32Array;
          for (const { gradient: more } of parts.slice(1))
            for (let i = 0; i < gradient.length; i++)
              gradient[i] = (gradient[i] as number) + ((more as Float32Array)[i] as number);
          const outputs = parts.map((part) => part.outputs);
          return { ...batchValues(objective, outputs, count), gradient };
        }),
      );
      return mean(points);
    },
    async pairs(theta, perturbations) {
      const shared = inSharedMemory(theta);
      const made = await population('pairs', shared, perturbations);
      if (made) return pairValues(objective, made.plus.map(sumOf), made.minus.map(sumOf));
      const results = await Promise.all(
        perturbations.map(onHost).map((perturbation) =>
          pool.pair({
            plan: objective.value,
            feeds,
            theta: shared,
            layout,
            perturbation: perturbation as TaskPerturbation,
          }),
        ),
      );
      const plus = results.map((result) => batchValues(objective, result.plus, count));
      const minus = results.map((result) => batchValues(objective, result.minus, count));
      return pairValues(objective, plus, minus);
    },
    async weightedScores(keys, sigma, first, second) {
      const weights = { keys, first, second: second?.weights };
      return scores(
        await (last ? weighTogether(pool, last, weights) : pool.normals(weights, coordinates)),
        sigma,
        second?.groups,
      );
    },
  };
}

/** Loss and metrics at θ itself, without a gradient. */
export async function evaluateBatch(
  pool: Pool,
  objective: Objective,
  layout: readonly ParameterSlice[],
  theta: Float32Array,
  batch: PooledBatch,
  scalars: ObjectiveScalars,
  attackKey?: Key,
): Promise<BatchValues> {
  const feeds = microBatches(objective, batch, scalars, attackKey);
  const shared = inSharedMemory(theta);
  const results = await Promise.all(
    feeds.map((feed) => pool.run({ plan: objective.value, feeds: feed, theta: shared, layout })),
  );
  return batchValues(
    objective,
    results.map(({ outputs }) => outputs),
    batch.labels.length,
  );
}
