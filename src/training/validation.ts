/**
 * Accuracies on images held out of the training set, never the test set: what a run is watched and its best
 * network chosen by.
 */
import { assembleBatch } from '../data/batches.js';
import type { Split } from '../data/dataset.js';
import { evaluateBatch } from '../evaluation/on-batch.js';
import type { Objective, ObjectiveScalars } from '../objective/objective.js';
import type { Pool } from '../runtime/pool/pool.js';
import type { ParameterSlice } from '../runtime/pool/task.js';
import { deriveKey, type Key } from '../runtime/random/keys.js';

/** Images evaluated at once. */
const CHUNK = 1024;

/**
 * Averages of the objective's loss and metrics over a split; attacks of the objective start at places drawn
 * from `attackKey`.
 */
export async function evaluateSplit(
  pool: Pool,
  objective: Objective,
  layout: readonly ParameterSlice[],
  theta: Float32Array,
  split: Split,
  scalars: ObjectiveScalars,
  attackKey?: Key,
): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (let start = 0; start < split.count; start += CHUNK) {
    const indices = Array.from({ length: Math.min(CHUNK, split.count - start) }, (_, i) => start + i);
    const { loss, metrics } = await evaluateBatch(
      pool,
      objective,
      layout,
      theta,
      assembleBatch(split, indices),
      scalars,
      attackKey && deriveKey(attackKey, start, 0),
    );
    for (const [name, value] of Object.entries({ loss, ...metrics }))
      sums[name] = (sums[name] ?? 0) + value * indices.length;
  }
  return Object.fromEntries(Object.entries(sums).map(([name, value]) => [name, value / split.count]));
}
