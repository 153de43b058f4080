/** θ and the state of the update rule on the host: plain arrays, steps in double precision. */
import type { PooledBatch } from '../../evaluation/batch-feeds.js';
import { pooledObjective } from '../../evaluation/on-batch.js';
import type { Objective, ObjectiveScalars } from '../../objective/objective.js';
import type { Key } from '../../runtime/random/keys.js';
import { clipGlobalNorm, globalNorm } from '../rules/gradient-clip.js';
import type { HostPosition, Placement, PlacementOptions } from './placement.js';

class HostPlacement implements Placement {
  readonly onHost = true;

  constructor(private readonly options: PlacementOptions) {}

  objective(objective: Objective, batch: PooledBatch, scalars: ObjectiveScalars, attackKey: Key) {
    const { pool, layout, guide, exchange } = this.options;
    return pooledObjective(pool, objective, layout, batch, scalars, attackKey, { guide, exchange });
  }

  async begin(from: HostPosition) {
    return from;
  }

  async descend(from: HostPosition, gradient: Float32Array, learningRate: number) {
    const { rule, gradientClip } = this.options;
    const gradientNorm = globalNorm(gradient);
    if (!Number.isFinite(gradientNorm))
      return { position: from, gradientNorm, thetaNorm: globalNorm(from.theta) };
    const clipped = gradientClip > 0 ? clipGlobalNorm(gradient, gradientClip) : gradient;
    const { theta, state } = rule.update(from.rule, from.theta, clipped, learningRate);
    return { position: { theta, rule: state }, gradientNorm, thetaNorm: globalNorm(theta) };
  }

  async copy(position: HostPosition) {
    return position;
  }

  async beginSearch(search: unknown) {
    return search;
  }

  async copySearch(search: unknown) {
    return search;
  }

  async end() {}
}

export const hostPlacement = (options: PlacementOptions): Placement => new HostPlacement(options);
