/**
 * Batch normalisation, per channel c: y = γ_c (x − μ_c)/√(v_c + ϵ) + β_c, ϵ = 1e-5 (Ioffe, Szegedy 2015,
 * arXiv 1502.03167).
 *
 * μ and v are no parameters: in training they are those of the micro-batch's clean images, afterwards those
 * of the whole training set. A layer's maps cannot know which, so nothing runs this layer but
 * `../batch-statistics`, which finds them; `../folding` folds them, with γ and β, into the affine layer
 * before. Relaxations, attacks and verifiers see only what is left, a network without batch normalisation.
 */
import type { AffineLayer, Extents, Layer } from './layer.js';

/** ϵ: keeps channels that are constant from being divided by 0. */
export const BATCH_NORM_EPSILON = 1e-5;

const NAME = 'batch-norm';

function needsStatistics(): never {
  throw new RangeError(
    `${NAME}: expected the network folded with statistics, got the layer itself; fold it first ` +
      '(foldedNetwork)',
  );
}

/** The layer for activations of these extents: γ is its weight, β its bias, [channels] each. */
export function batchNormLayer(extents: Extents): AffineLayer {
  return {
    kind: 'affine',
    name: NAME,
    input: extents,
    output: extents,
    parameters: [
      { name: 'weight', shape: [extents[0]], fanIn: 1 },
      { name: 'bias', shape: [extents[0]], fanIn: 1 },
    ],
    apply: needsStatistics,
    linear: needsStatistics,
    adjoint: needsStatistics,
    absolute: needsStatistics,
    bias: needsStatistics,
  };
}

export const isBatchNorm = (layer: Layer): boolean => layer.name === NAME;

/**
 * The same affine layer without its bias, which a batch normalisation behind it would subtract again with the
 * mean.
 */
export const withoutBias = (layer: AffineLayer): AffineLayer => ({
  ...layer,
  parameters: layer.parameters.filter(({ name }) => name !== 'bias'),
});
