/**
 * The spread σ of the search distribution N(θ, diag σ²): one number, one per layer, relative to its weights
 * or not, or one per coordinate; fixed or learned.
 */

import type { BatchObjective, SigmaStep, Vector } from '../evaluation/batch-objective.js';
import type { Sigma } from '../evaluation/sigma.js';
import { layerScales, type ParameterRange, relativeSigma } from './layer-scales.js';

export type SigmaMode = 'global' | 'layer' | 'coordinate' | 'relative';

/** Groups of coordinates that share a σ, and their σ's before decay. */
export interface SearchDistribution {
  /** A Float64Array on the host; that of each coordinate may be on a device, where θ is. */
  readonly sigma: Vector;
  /** The range of coordinates of each σ; absent when every coordinate has its own. */
  readonly groups?: readonly ParameterRange[];
  /** Where σ's are relative: of each group the one whose root mean square is their unit. */
  readonly units?: readonly number[];
}

/** Every σ at its initial value. Layers must cover the parameters exactly, in order. */
export function initialDistribution(
  mode: SigmaMode,
  sigma: number,
  parameters: number,
  layers: readonly ParameterRange[],
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
  const sigmas = new Float64Array(layers.length).fill(sigma);
  if (mode === 'relative') return { sigma: sigmas, ...layerScales(layers) };
  return { sigma: sigmas, groups: layers.map(({ offset, size }) => ({ offset, size })) };
}

/** factor·σ at θ as perturbations take it. @throws RangeError as `relativeSigma` */
export async function effectiveSigma(
  { sigma, groups, units }: SearchDistribution,
  factor: number,
  theta: Vector,
  objective: BatchObjective,
): Promise<Sigma> {
  if (groups !== undefined && units !== undefined) {
    const scale = (sigma as Float64Array).map((s) => factor * s);
    return relativeSigma(objective, theta, { groups, units }, scale);
  }
  if (!(sigma instanceof Float64Array)) return { vector: sigma, factor };
  const values = new Float32Array(sigma.map((s) => factor * s));
  if (groups === undefined) return values;
  return groups.length === 1 ? factor * (sigma[0] as number) : { values, groups };
}

/**
 * σ_G ← clip(σ_G·(1 − clip(α · mean_{j ∈ G} σ_j ∂σ_j, ±maxChange)), min, max): descent of L_σ along the
 * natural gradient of log σ_G (its constant ½ counted into α). So one α fits σ's of any size and groups of
 * any number of coordinates. `relativeGradient` holds the mean of each group; the change is relative, hence
 * the same for σ before and after decay.
 */
export function stepSigma(
  sigma: Float64Array,
  relativeGradient: ArrayLike<number>,
  step: SigmaStep,
): Float64Array {
  return sigma.map((s, g) => {
    const change = step.learningRate * (relativeGradient[g] as number);
    const bounded = Math.min(step.maxChange, Math.max(-step.maxChange, change));
    return Math.min(step.max, Math.max(step.min, s * (1 - bounded)));
  });
}
