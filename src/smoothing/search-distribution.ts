/**
 * The spread σ of the search distribution N(θ, diag σ²): one number, one per layer or one per coordinate;
 * fixed or learned.
 */

import type { Sigma } from '../evaluation/sigma.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import type { Vector } from './vector.js';

export type SigmaMode = 'global' | 'layer' | 'coordinate';

/** Groups of coordinates that share a σ, and their σ's before decay. */
export interface SearchDistribution<V extends Vector = Float64Array> {
  /** Float64Array on the host; that of each coordinate may be where θ is. */
  readonly sigma: Float64Array | V;
  /** The range of coordinates of each σ; absent when every coordinate has its own. */
  readonly groups?: readonly CoordinateRange[];
}

/** Every σ at its initial value. Layers must cover the parameters exactly, in order. */
export function initialDistribution(
  mode: SigmaMode,
  sigma: number,
  parameters: number,
  layers: readonly CoordinateRange[],
): SearchDistribution {
  if (mode === 'coordinate') return { sigma: new Float64Array(parameters).fill(sigma) };
  if (mode === 'global') return { sigma: Float64Array.of(sigma), groups: [{ offset: 0, size: parameters }] };
  let covered = 0;
  for (const { offset, size } of layers) {
    if (offset !== covered)
      throw new RangeError(`pgpe: expected the next layer to begin at coordinate ${covered}, got ${offset}`);
    covered += size;
  }
  if (covered !== parameters)
    throw new RangeError(`pgpe: expected layers of ${parameters} coordinates in all, got ${covered}`);
  return {
    sigma: new Float64Array(layers.length).fill(sigma),
    groups: layers.map(({ offset, size }) => ({ offset, size })),
  };
}

/** factor·σ as perturbations take it. */
export function effectiveSigma<V extends Vector>(
  { sigma, groups }: SearchDistribution<V>,
  factor: number,
): Sigma<V> {
  if (!(sigma instanceof Float64Array)) return { vector: sigma, factor };
  const values = new Float32Array(sigma.map((s) => factor * s));
  if (groups === undefined) return values;
  return groups.length === 1 ? factor * (sigma[0] as number) : { values, groups };
}

export interface SigmaStep {
  readonly learningRate: number;
  /** Largest |Δσ|/σ of one step. */
  readonly maxChange: number;
  readonly min: number;
  readonly max: number;
}

/**
 * σ_G ← clip(σ_G·(1 − clip(α · mean_{j ∈ G} σ_j ∂σ_j, ±maxChange)), min, max): descent of L_σ along the
 * natural gradient of log σ_G (its constant ½ counted into α). So one α fits σ's of any size and groups of
 * any number of coordinates. `relativeGradient` holds the mean of each group; the change is relative, hence
 * the same for σ before and after decay.
 */
export function stepSigma(
  { sigma, groups }: SearchDistribution,
  relativeGradient: Float64Array,
  step: SigmaStep,
): SearchDistribution {
  const next = sigma.map((s, g) => {
    const change = step.learningRate * (relativeGradient[g] as number);
    const bounded = Math.min(step.maxChange, Math.max(-step.maxChange, change));
    return Math.min(step.max, Math.max(step.min, s * (1 - bounded)));
  });
  return { sigma: next, groups };
}
