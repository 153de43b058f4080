/**
 * The objective L(θ) on one batch, as estimators see it: values and gradients at θ and at θ + σ∘z.
 *
 * z ∼ N(0, I) is never stored, but drawn anew from its key by the counter-based generator of
 * `runtime/random`. Three files compute it, chosen once by the placement of θ: `cpu` (one perturbation a
 * task), `batched` (many perturbations a call of a device) and `resident` (θ stays on the device).
 */

import type { Key } from '../runtime/random/keys.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import type { Sigma } from './sigma.js';
import type { Vector } from './vector.js';

export type { Vector } from './vector.js';

/** Perturbations of one step: of one σ, each with a key of its own. */
export interface Perturbations {
  readonly keys: readonly Key[];
  readonly sigma: Sigma;
}

/** Perturbations of a mean of gradients. */
export interface GradientPerturbations extends Perturbations {
  /** Both points θ ± σ∘z of each key, instead of θ + σ∘z alone (default false). */
  readonly antithetic?: boolean;
}

/** L(θ) on a batch and ∂L/∂θ. */
export interface LossAndGradient {
  readonly loss: number;
  /** ∂L/∂θ, one entry per coordinate. */
  readonly gradient: Vector;
  /** Further averages over the batch (natural and certified accuracy, …), by name. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** L at antithetic pairs of points, and the scores of exactly these points. */
export interface Pairs {
  /** L(θ + σ∘z_i). */
  readonly plus: Float64Array;
  /** L(θ − σ∘z_i). */
  readonly minus: Float64Array;
  /** Averages over all evaluations. */
  readonly metrics: Readonly<Record<string, number>>;
  /**
   * Weighted sums of the scores of N(θ, diag σ²) at the points θ + σ∘z_i, per coordinate: Σ_i first[i]
   * ∂log p(z_i)/∂θ = Σ_i first[i]·z_i/σ and, if asked, Σ_i weights[i] σ ∂log p(z_i)/∂σ = Σ_i weights[i]·(z_i²
   * − 1).
   */
  scores(first: Float64Array, second?: SigmaWeights): Promise<WeightedScores>;
}

/** The scores of σ that are wanted. */
export interface SigmaWeights {
  readonly weights: Float64Array;
  /**
   * Ranges of coordinates, one after the other and all of them, over which scores are averaged; without it
   * those of each coordinate are wanted.
   */
  readonly groups?: readonly CoordinateRange[];
}

/** Weighted sums of the scores of N(θ, diag σ²): Σ_i w_i·z_i/σ, and those of σ if asked. */
export interface WeightedScores {
  readonly theta: Vector;
  /** σ ∂/∂σ of each coordinate, which is where σ is, or its mean over each group. */
  readonly sigma?: Vector;
}

/** How far one step moves σ (`stepSigma` of `smoothing/search-distribution`). */
export interface SigmaStep {
  readonly learningRate: number;
  /** Largest |Δσ|/σ of one step. */
  readonly maxChange: number;
  readonly min: number;
  readonly max: number;
}

/** What estimators that correct a gradient by values need: each point by itself, on the host. */
export interface PointEvaluation {
  /** L and ∂L/∂θ at each point θ + σ∘z_i. */
  gradients(theta: Float32Array, perturbations: Perturbations): Promise<readonly LossAndGradient[]>;
  /** L at each point θ + σ∘z_i. */
  losses(theta: Float32Array, perturbations: Perturbations): Promise<Float64Array>;
  /** v_i·(σ∘z_i) of one vector for each perturbation, or of one vector for all. */
  projections(vectors: readonly Float32Array[], perturbations: Perturbations): Promise<Float64Array>;
  /** Σ_i weights[i]·z_i/σ. */
  scores(weights: Float64Array, perturbations: Perturbations): Promise<Float32Array>;
}

/** Every call may run in parallel inside; results do not depend on how many workers there are. */
export interface BatchObjective {
  /** L and ∂L/∂θ at θ. */
  gradient(theta: Vector): Promise<LossAndGradient>;
  /** 1/n Σ_i of L and of its gradient at the points θ + σ∘z_i, or θ ± σ∘z_i. */
  meanGradient(theta: Vector, perturbations: GradientPerturbations): Promise<LossAndGradient>;
  /** L at the points θ ± σ∘z_i. */
  pairs(theta: Vector, perturbations: Perturbations): Promise<Pairs>;
  /** √(mean θ_j²) over each range of coordinates. */
  rootMeanSquares?(theta: Vector, ranges: readonly CoordinateRange[]): Promise<Float64Array>;
  /** Single points and projections, where θ is on the host. */
  readonly points?: PointEvaluation;
  /** A differentiable objective on the same batch, for one without a derivative of its own. */
  readonly guide?: BatchObjective;
  /** One step of a σ of each coordinate that is on a device; both arrays are used up by it. */
  stepSigma?(sigma: Vector, relativeGradient: Vector, step: SigmaStep): Promise<Vector>;
}

/** @throws RangeError for no perturbation at all */
export function checkPerturbations({ keys }: Perturbations): void {
  if (keys.length === 0)
    throw new RangeError('perturbed gradients: expected one perturbation at least, got none');
}
