/**
 * Values of two small networks that independent code computed in float64, kept beside the repository; tests
 * that want them are skipped where they are missing.
 *
 * Layers are numbered there with Flatten included, so arrays are matched in their order.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeSafetensors } from '../formats/safetensors.js';
import type { FloatType } from '../graph/index.js';
import { architecture } from '../network/architectures.js';
import { type Network, parameterInputs } from '../network/network.js';
import type { Feeds } from './bound-programs.js';

const folder = new URL('../../../shared/reference/', import.meta.url);
export type ReferenceName = 'cnn3' | 'cnn5';
const fileOf = (name: ReferenceName): string => fileURLToPath(new URL(`${name}.safetensors`, folder));

/** Why tests against reference values cannot run; undefined where they can. */
export const missingReference: string | undefined = (['cnn3', 'cnn5'] as const)
  .map(fileOf)
  .filter((path) => !existsSync(path))
  .map((path) => `there are no reference values at ${path}`)[0];

/** Radius of the box, which is not cut to [0, 1]. */
export const REFERENCE_EPSILON = 0.1;

export interface Reference {
  readonly network: Network;
  /**
   * Arrays of a bound problem's inputs (box, labels, parameters) and images `x` [features, batch] of the
   * first `count` images.
   */
  feeds(count: number, dtype: FloatType): Feeds;
  /**
   * A stored array by its name there, [batch, …] cut to the first `count` images and turned to […, batch] if
   * asked.
   */
  stored(name: string, count?: number): Float64Array;
  /** Gradients "<kind>_grad.…" by our parameters' names, where stored. */
  gradients(kind: string): Map<string, Float64Array>;
}

/** [rows, columns] to [columns, rows]. */
const transposed = (values: ArrayLike<number>, rows: number): Float64Array => {
  const columns = values.length / rows;
  return Float64Array.from(
    { length: values.length },
    (_, i) => values[(i % rows) * columns + Math.floor(i / rows)] as number,
  );
};

export function loadReference(name: ReferenceName): Reference {
  const { tensors } = decodeSafetensors(readFileSync(fileOf(name)), fileOf(name));
  const network = architecture(name, [1, 28, 28], 10);
  const array = (key: string): Float64Array => {
    const tensor = tensors[key];
    if (tensor === undefined)
      throw new Error(`reference ${name}: expected an array ${key}, got ${Object.keys(tensors).join(', ')}`);
    return Float64Array.from(tensor.data as Float64Array, Number);
  };
  const theirs = [
    ...new Set(Object.keys(tensors).flatMap((key) => /^parameters\/(\d+)\./.exec(key)?.[1] ?? [])),
  ].sort((a, b) => Number(a) - Number(b));
  const ours = Object.keys(parameterInputs(network));
  const named = ours.map(
    (parameter, i) => [parameter, `${theirs[i >> 1]}.${parameter.split('.')[1]}`] as const,
  );
  const stored = (key: string, count?: number) => {
    const values = array(key);
    return count === undefined
      ? values
      : transposed(values.subarray(0, (values.length / (tensors[key]?.shape[0] as number)) * count), count);
  };
  return {
    network,
    stored,
    feeds(count, dtype) {
      const to = (values: Float64Array) => (dtype === 'float64' ? values : Float32Array.from(values));
      const x = stored('x', count);
      return {
        x: to(x),
        lower: to(x.map((v) => v - REFERENCE_EPSILON)),
        upper: to(x.map((v) => v + REFERENCE_EPSILON)),
        labels: Int32Array.from(array('y').subarray(0, count)),
        ...Object.fromEntries(named.map(([parameter, key]) => [parameter, to(array(`parameters/${key}`))])),
      };
    },
    gradients: (kind) =>
      new Map(
        named.flatMap(([parameter, key]) =>
          `${kind}_grad.${key}` in tensors ? [[parameter, array(`${kind}_grad.${key}`)] as const] : [],
        ),
      ),
  };
}

/** ‖got − expected‖ / ‖expected‖ in the maximum norm; NaN where a number is missing. */
export const relativeDifference = (got: ArrayLike<number>, expected: ArrayLike<number>): number =>
  ratio(got, expected, (values) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0));

/** ‖got − expected‖ / ‖expected‖ in the Euclidean norm. */
export const relativeDistance = (got: ArrayLike<number>, expected: ArrayLike<number>): number =>
  ratio(got, expected, (values) => Math.sqrt(values.reduce((a, b) => a + b * b, 0)));

function ratio(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  norm: (values: Float64Array) => number,
): number {
  if (got.length !== expected.length) return Number.POSITIVE_INFINITY;
  return (
    norm(Float64Array.from(expected, (e, i) => (got[i] as number) - e)) / norm(Float64Array.from(expected))
  );
}
