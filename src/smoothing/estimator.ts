/**
 * The interface between an objective L(θ) and the estimators of a gradient of it (or of its Gaussian
 * average).
 *
 * An estimator knows no relaxation: it sees values and gradients of L at θ and at θ + σ∘z, where z ∼ N(0, I)
 * is never stored but regenerated from (seed, step, sample) by the counter-based generator of
 * `runtime/random`. Nor does it know where θ and the gradients are, as it never looks inside: on a device
 * they need not leave it.
 */

import type { Sigma } from '../evaluation/sigma.js';
import type { Key } from '../runtime/random/keys.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import type { SigmaStep } from './search-distribution.js';
import type { Vector } from './vector.js';

export type { Vector } from './vector.js';

/** A perturbation θ + sign · σ∘z(key): z is a function of the key alone. */
export interface Perturbation<V extends Vector = Float32Array> {
  readonly key: Key;
  readonly sigma: Sigma<V>;
}

export interface LossAndGradient<V extends Vector = Float32Array> {
  readonly loss: number;
  /** ∂L/∂θ, one entry per coordinate. */
  readonly gradient: V;
  /** Further averages over the batch (natural and certified accuracy, …), by name. */
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * L on one batch, as an estimator sees it. Every call may run in parallel inside; results do not depend on
 * how many workers there are.
 */
export interface BatchObjective<V extends Vector = Float32Array> {
  /** 1/n Σ_i of L and of its gradient at n perturbed points; `undefined` stands for θ itself. */
  meanGradient(
    theta: V,
    perturbations: readonly (Perturbation<V> | undefined)[],
  ): Promise<LossAndGradient<V>>;
  /** L(θ + σ∘z) and L(θ − σ∘z) of each pair, and the metrics averaged over all evaluations. */
  pairs(
    theta: V,
    perturbations: readonly Perturbation<V>[],
  ): Promise<{ plus: Float64Array; minus: Float64Array; metrics: Readonly<Record<string, number>> }>;
  /**
   * Weighted sums of the scores of N(θ, diag σ²) at the points θ + σ∘z_i, the z_i regenerated from their
   * keys, per coordinate: Σ_i first[i] ∂log p(z_i)/∂θ = Σ_i first[i]·z_i/σ and, if asked, Σ_i weights[i] σ
   * ∂log p(z_i)/∂σ = Σ_i weights[i]·(z_i² − 1).
   */
  weightedScores(
    keys: readonly Key[],
    sigma: Sigma<V>,
    first: Float64Array,
    second?: SigmaWeights,
  ): Promise<WeightedScores<V>>;
  /**
   * One step of a σ of each coordinate that is where θ is (`stepSigma`); needed where `Estimator.vectors` are
   * not the host's. Both are used up by it.
   */
  stepSigma?(sigma: V, relativeGradient: V, step: SigmaStep): Promise<V>;
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

export interface WeightedScores<V extends Vector = Float32Array> {
  readonly theta: V;
  /** σ ∂/∂σ of each coordinate, which is where θ is if σ is, or its mean over each group. */
  readonly sigma?: Float64Array | V;
}

export interface Estimate<State, V extends Vector = Float32Array> {
  readonly state: State;
  /** The estimate of ∇_θ. */
  readonly gradient: V;
  /** The loss to report: at θ for `none`, averaged over perturbations otherwise. */
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Where in a run an estimate is taken: schedules read `progress`, perturbations come from `key` and `step`.
 */
export interface EstimateContext {
  /** The run's key for perturbations. */
  readonly key: Key;
  /** Optimiser step, from 0. */
  readonly step: number;
  /** Epochs done, fractional, and in all. */
  readonly epoch: number;
  readonly epochs: number;
}

/** One gradient estimator. State is plain data (typed arrays, numbers) that a checkpoint can hold. */
export interface Estimator<State = unknown> {
  readonly name: string;
  /** Whether it needs ∂L/∂θ (and so a differentiable relaxation). */
  readonly needsGradient: boolean;
  /**
   * Arrays of the state, Float64Arrays on the host, that have a number for each coordinate and may be kept
   * where θ is.
   */
  readonly vectors?: readonly (keyof State & string)[];
  /** `layers` gives, for each parameter tensor, its range of coordinates. */
  init(parameters: number, layers: readonly CoordinateRange[]): State;
  estimate<V extends Vector = Float32Array>(
    state: State,
    theta: V,
    objective: BatchObjective<V>,
    context: EstimateContext,
  ): Promise<Estimate<State, V>>;
}
