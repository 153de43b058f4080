/** Vectors of estimators as arrays of the host. */
import type { Vector } from '../evaluation/batch-objective.js';

export function onHost(vector: Vector | undefined): Float32Array {
  if (vector instanceof Float32Array) return vector;
  throw new TypeError('expected a Float32Array on the host');
}

/** A σ, or scores of σ, in double precision. */
export function sigmasOnHost(vector: Vector | undefined): Float64Array {
  if (vector instanceof Float64Array) return vector;
  throw new TypeError('expected a Float64Array on the host');
}
