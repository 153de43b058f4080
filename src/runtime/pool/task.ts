/** Tasks that the pool sends to its workers, and their results. */
import type { HostData } from '../../graph/tensor.js';
import type { Plan } from '../plan/plan.js';
import type { Key } from '../random/keys.js';
import type { NormalPrograms, ScorePrograms } from './normal-programs.js';

/** Where each parameter array lies in the flat vector. */
export interface ParameterSlice {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** θ + σ∘z(key) or θ ± σ∘z(key): z is drawn by the worker. */
export interface TaskPerturbation {
  readonly key: Key;
  readonly sigma: number | Float32Array;
}

/**
 * A float32 array of the numbers start … start + size of a key's, uniform on [0, 1): drawn by the worker, so
 * that nothing is sent.
 */
export interface UniformNumbers {
  readonly key: Key;
  readonly start: number;
  readonly size: number;
}

export type TaskFeeds = Readonly<Record<string, HostData | UniformNumbers>>;

/**
 * A plan run at θ, or at θ + σ∘z. Arrays in shared memory are copied by the worker, others on the way to it.
 */
export interface RunTask {
  readonly plan: Plan;
  /** Arrays of the batch. */
  readonly feeds: TaskFeeds;
  readonly theta: Float32Array;
  readonly layout: readonly ParameterSlice[];
  readonly perturbation?: TaskPerturbation;
}

export type Outputs = Readonly<Record<string, HostData>>;

/** What a worker gave back for one run of a plan. */
export interface RunResult {
  readonly outputs: Outputs;
  /** Flat gradient of `loss`, if the plan has one. */
  readonly gradient?: Float32Array;
}

/**
 * A plan without gradient run on several micro-batches at θ + σ∘z and at θ − σ∘z of each key, z drawn once.
 * Its results are scalars and come back as [keys, 2, micro-batches, results].
 */
export interface PairsTask extends Omit<RunTask, 'feeds' | 'perturbation'> {
  readonly feeds: readonly TaskFeeds[];
  readonly keys: readonly Key[];
  readonly sigma: number | Float32Array;
}

/** A vector that stays on the device, by the number that the pool gave it. */
export interface KeptVector {
  readonly id: number;
  readonly length: number;
}

/** Arrays of the host, or vectors on the device. */
export type VectorFeeds = Readonly<Record<string, HostData | KeptVector>>;

export const isKeptVector = (data: object): data is KeptVector => 'id' in data;

/** A plan for a population, run on several micro-batches for the keys of one call after the other. */
export interface PopulationTask {
  readonly plan: Plan;
  readonly feeds: readonly TaskFeeds[];
  /** Arrays that all calls share, θ and σ, by the plan's names for them. A device gets them once. */
  readonly parameters: VectorFeeds;
  /** Makes what the plan reads of `parameters`, where that is not they themselves: one program. */
  readonly prepare?: Plan;
  /** Make `z`, which the plan reads; without them there is one call, whose keys do not count. */
  readonly programs?: NormalPrograms;
  readonly calls: readonly (readonly Key[])[];
  /** Gradients do not come back, but stay as one vector. */
  readonly collect?: CollectedGradient;
}

/** Σ of weighted gradients of members, over calls and micro-batches, as one vector on the device. */
export interface CollectedGradient {
  readonly into: KeptVector;
  /** From the gradients `∂name` of each array and `weights` [1, members] to `sum`, the flat vector. */
  readonly begin: Plan;
  /** The same plus the sum so far, `sum so far`. */
  readonly more: Plan;
  /** Weights of each call's members. */
  readonly weights: readonly Float32Array[];
}

/** Weighted sums of the normals of calls, a weight for each key. */
export interface WeighTask {
  readonly programs: NormalPrograms;
  readonly calls: readonly (readonly Key[])[];
  readonly first: readonly Float32Array[];
  readonly second?: readonly Float32Array[];
}

/** Scores of perturbations, as `ScorePrograms` has them: what it keeps stays on the device. */
export interface ScoreTask extends WeighTask {
  readonly scores: ScorePrograms;
  /** Inputs of σ. */
  readonly sigma: VectorFeeds;
  readonly keep: Readonly<Record<string, KeptVector>>;
}

/** A plan of one program run on vectors of the device; the outputs that `keep` names stay there. */
export interface ComputeTask {
  readonly plan: Plan;
  readonly feeds: VectorFeeds;
  readonly keep: Readonly<Record<string, KeptVector>>;
}

export interface PopulationResult {
  /** Outputs of each micro-batch, [members, …]. */
  readonly outputs: readonly Outputs[];
  /**
   * Summed over micro-batches, the gradients of every array that the plan differentiates by, [members, size],
   * one array after the other; none where they are collected.
   */
  readonly gradients: readonly Float32Array[];
}

/** Σ_i first[i]·z_i, and Σ_i second[i]·(z_i² − 1) if asked for, of each coordinate. */
export interface WeightedSums {
  readonly first: Float64Array;
  readonly second?: Float64Array;
}

/** The product of a vector with the normals of a key. */
export interface ProjectionTask {
  readonly key: Key;
  readonly vector: Float64Array;
}

/** Weighted sums of regenerated normals over coordinates start … start + count. */
export interface NormalsTask {
  readonly keys: readonly Key[];
  readonly first: Float64Array;
  readonly second?: Float64Array;
  readonly start: number;
  readonly count: number;
}
