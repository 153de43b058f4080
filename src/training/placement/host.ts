/** θ and the state of the update rule on the host: plain arrays, steps in double precision. */
import { pooledObjective } from '../../evaluation/host-objective.js';
import { clipGlobalNorm, globalNorm } from '../rules/gradient-clip.js';
import type { Placement, PlacementOptions } from './placement.js';

export function hostPlacement({
  pool,
  objective,
  layout,
  rule,
  gradientClip,
}: PlacementOptions): Placement<Float32Array> {
  return {
    onHost: true,
    objective: (batch, scalars, attackKey) =>
      pooledObjective(pool, objective, layout, batch, scalars, attackKey),
    begin: async (from) => from,
    async descend(from, gradient, learningRate) {
      const gradientNorm = globalNorm(gradient);
      if (!Number.isFinite(gradientNorm))
        return { position: from, gradientNorm, thetaNorm: globalNorm(from.theta) };
      const clipped = gradientClip > 0 ? clipGlobalNorm(gradient, gradientClip) : gradient;
      const { theta, state } = rule.update(from.rule, from.theta, clipped, learningRate);
      return { position: { theta, rule: state }, gradientNorm, thetaNorm: globalNorm(theta) };
    },
    copy: async (position) => position,
    beginSearch: async (search) => search,
    copySearch: async (search) => search,
    end: async () => undefined,
  };
}
