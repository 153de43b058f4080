/**
 * Accuracies on images held out of the training set, never the test set: what a run is watched and its best
 * network chosen by; and shares of unstable neurons, which say how tight its bounds can be.
 */
import { assembleBatch } from '../data/batches.js';
import type { Split } from '../data/dataset.js';
import { activitiesOf, reluBounds } from '../evaluation/neuron-activity.js';
import { evaluateBatch } from '../evaluation/on-batch.js';
import { input, transpose } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import { inputBox } from '../objective/input-box.js';
import type { Objective, ObjectiveScalars } from '../objective/objective.js';
import { createPlan } from '../runtime/plan/compile.js';
import type { Pool } from '../runtime/pool/pool.js';
import type { ParameterSlice } from '../runtime/pool/task.js';
import { deriveKey, type Key } from '../runtime/random/keys.js';
import { inSharedMemory } from '../runtime/shared-memory.js';

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

/** Share of unstable neurons of each ReLU layer at θ, in [0, 1]. */
export type UnstableShares = (
  theta: Float32Array,
  layout: readonly ParameterSlice[],
) => Promise<readonly number[]>;

/**
 * Counts, over balls around all images of a split at once, the ReLUs whose sign interval bounds leave open.
 * @returns undefined for a network without ReLUs
 */
export function unstableShares(
  pool: Pool,
  network: Network,
  split: Split,
  { epsilon, clip }: { readonly epsilon: number; readonly clip: boolean },
): UnstableShares | undefined {
  const { count } = split;
  const x = transpose(input('images', [count, featuresOf(network.input)]));
  const outputs = reluBounds(network, inputBox(x, input('epsilon', []), clip));
  if (Object.keys(outputs).length === 0) return undefined;
  const plan = createPlan([{ kind: 'whole', outputs }]);
  const { images } = assembleBatch(
    split,
    Array.from({ length: count }, (_, i) => i),
  );
  const feeds = { images, epsilon: Float32Array.of(epsilon) };
  return async (theta, layout) => {
    const found = await pool.run({ plan, feeds, theta: inSharedMemory(theta), layout });
    return activitiesOf(found.outputs, count).map(({ unstable, neurons }) => unstable / neurons);
  };
}
