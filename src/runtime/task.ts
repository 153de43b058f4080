/** What the pool sends to its workers and what comes back. */
import type { HostData } from '../graph/tensor.js';
import type { Plan } from './plan.js';
import type { Key } from './random.js';
import type { Feeds } from './session.js';

/** Where each parameter array lies in the flat vector. */
export interface ParameterSlice {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** A plan run at θ, or at θ ± σ∘z(key). */
export interface RunTask {
  readonly plan: Plan;
  /** Arrays of the batch; shared memory is copied by the worker. */
  readonly feeds: Feeds;
  readonly theta: Float32Array;
  readonly layout: readonly ParameterSlice[];
  readonly perturbation?: { readonly key: Key; readonly sigma: number | Float32Array };
  /** Run at +σ∘z and at −σ∘z and return both (the gradient of neither). */
  readonly antithetic?: boolean;
}

export interface RunResult {
  /** One entry, or two (plus, minus) for an antithetic task. */
  readonly outputs: readonly Readonly<Record<string, HostData>>[];
  /** Flat gradient of `loss`, if the plan has one. */
  readonly gradient?: Float32Array;
}

/** Weighted sums of regenerated normals over coordinates start … start + count. */
export interface NormalsTask {
  readonly keys: readonly Key[];
  readonly first: Float64Array;
  readonly second?: Float64Array;
  readonly start: number;
  readonly count: number;
}
