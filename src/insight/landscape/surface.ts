/** The loss of a network under a relaxation as a function of its parameters, on one batch. */

import { batchValues, microBatches, type PooledBatch } from '../../evaluation/batch-feeds.js';
import { pooledObjective } from '../../evaluation/on-batch.js';
import type { Network } from '../../network/network.js';
import { parameterLayout } from '../../network/parameters.js';
import { createObjective } from '../../objective/objective.js';
import { relaxationNamed } from '../../relaxation/index.js';
import type { Pool } from '../../runtime/pool/pool.js';
import type { Key } from '../../runtime/random/keys.js';
import { inSharedMemory } from '../../runtime/shared-memory.js';

/** Values at antithetic pairs of points, one for each key. */
export interface PairValues {
  readonly plus: ArrayLike<number>;
  readonly minus: ArrayLike<number>;
}

/** A function of θ, and its values around a point. */
export interface Surface {
  /** L(θ). */
  value(theta: Float32Array): Promise<number>;
  /** L(θ ± σ·z(key)). */
  pairs(theta: Float32Array, sigma: number, keys: readonly Key[]): Promise<PairValues>;
  /** ∂L/∂θ; missing where the relaxation has no derivative. */
  gradient?(theta: Float32Array): Promise<Float32Array>;
}

export interface SurfaceOptions {
  readonly network: Network;
  /** Images [batch, features] in [0, 1] and labels. */
  readonly batch: PooledBatch;
  /** Radius of the ball in pixels of [0, 1]. */
  readonly epsilon: number;
  readonly clipBox?: boolean;
  /** Images of one program call (default: the batch). */
  readonly microBatch?: number;
}

/**
 * L(θ) = mean over the batch of CE(worst-case logits over B(x, ε) under the relaxation, y): what certified
 * training with κ = 1 minimises.
 * @param relaxation its name, `crown` or `ibp+crown` say
 */
export function relaxedLoss(pool: Pool, relaxation: string, options: SurfaceOptions): Surface {
  const { network, batch, epsilon, clipBox, microBatch = batch.labels.length } = options;
  const relaxed = relaxationNamed(relaxation);
  const objective = createObjective({ network, relaxation: relaxed, natural: 'none', microBatch, clipBox });
  const layout = parameterLayout(network);
  const scalars = { epsilon, kappa: 1, regularization: 0 };
  const feeds = microBatches(objective, batch, scalars, undefined);
  const pooled = pooledObjective(pool, objective, layout, batch, scalars);
  return {
    async value(theta) {
      const shared = inSharedMemory(theta);
      const results = await Promise.all(
        feeds.map((feed) => pool.run({ plan: objective.value, feeds: feed, theta: shared, layout })),
      );
      return batchValues(
        objective,
        results.map(({ outputs }) => outputs),
        batch.labels.length,
      ).loss;
    },
    pairs: (theta, sigma, keys) => pooled.pairs(theta, { keys, sigma }),
    ...(relaxed.differentiable && {
      gradient: async (theta: Float32Array) => (await pooled.gradient(theta)).gradient as Float32Array,
    }),
  };
}
