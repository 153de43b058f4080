/** An objective on one batch of images, and which of the three ways computes it while θ is on the host. */
import type { Objective, ObjectiveScalars } from '../objective/objective.js';
import type { Pool } from '../runtime/pool/pool.js';
import type { ParameterSlice } from '../runtime/pool/task.js';
import type { Key } from '../runtime/random/keys.js';
import { inSharedMemory } from '../runtime/shared-memory.js';
import { type BatchValues, microBatches, type PooledBatch } from './batch-feeds.js';
import { BatchedObjective } from './batched.js';
import { CpuObjective, type EvaluatedBatch } from './cpu.js';
import { type Exchange, SpreadObjective } from './exchange.js';
import { type CallLimits, evaluatesPopulations } from './population.js';

/**
 * `batch` as programs are fed with it. `attackKey`, needed where the objective has attacks, is what their
 * starts are drawn from: the same at every θ.
 */
export function evaluatedBatch(
  objective: Objective,
  layout: readonly ParameterSlice[],
  batch: PooledBatch,
  scalars: ObjectiveScalars,
  attackKey?: Key,
): EvaluatedBatch {
  const feeds = microBatches(objective, batch, scalars, attackKey);
  return { objective, layout, feeds, images: batch.labels.length };
}

/** How a pool evaluates perturbations. */
export interface PooledOptions {
  /** Evaluate perturbations together within these limits, on the CPU too (default: on other devices only). */
  readonly limits?: CallLimits;
  /** Its gradients stand for those that the objective has not. */
  readonly guide?: Objective;
  /** Other processes evaluate perturbations, too. */
  readonly exchange?: Exchange;
}

/** The objective on `batch` at a θ on the host; `layout` says where each parameter array lies in θ. */
export function pooledObjective(
  pool: Pool,
  objective: Objective,
  layout: readonly ParameterSlice[],
  batch: PooledBatch,
  scalars: ObjectiveScalars,
  attackKey?: Key,
  { limits, guide, exchange }: PooledOptions = {},
): CpuObjective {
  const on = evaluatedBatch(objective, layout, batch, scalars, attackKey);
  const guiding = guide && pooledObjective(pool, guide, layout, batch, scalars, attackKey, { limits });
  if (exchange !== undefined) return new SpreadObjective(pool, on, exchange, guiding);
  const together = evaluatesPopulations(objective) && (limits !== undefined || pool.device !== 'cpu');
  return together ? new BatchedObjective(pool, on, limits, guiding) : new CpuObjective(pool, on, guiding);
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
  const on = evaluatedBatch(objective, layout, batch, scalars, attackKey);
  return new CpuObjective(pool, on).valuesAt(inSharedMemory(theta));
}
