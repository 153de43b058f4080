/** Random numbers for tests: pure functions of a seed, so that a counterexample is a few integers. */
import { fillNormals, keyOf, uniforms } from '../runtime/random/keys.js';

/** `count` numbers from N(0, 1). */
export function normalNumbers(seed: string, count: number): Float64Array {
  const out = new Float32Array(count);
  fillNormals(keyOf(seed), out);
  return Float64Array.from(out);
}

/** `count` numbers uniform on [0, 1). */
export function uniformNumbers(seed: string, count: number): Float64Array {
  const out = new Float32Array(count);
  uniforms(keyOf(seed), out);
  return Float64Array.from(out);
}

/** `count` labels, uniform on 0 … classes − 1. */
export const randomLabels = (seed: string, count: number, classes: number): Int32Array =>
  Int32Array.from(uniformNumbers(seed, count), (u) => Math.floor(u * classes));

/** Corners of a box and so many points within. */
export function pointsOf(
  { lower, upper }: { readonly lower: Float64Array; readonly upper: Float64Array },
  seed: number,
  count: number,
): Float64Array[] {
  const corners = Array.from({ length: 2 ** lower.length }, (_, at) =>
    lower.map((low, i) => (at & (1 << i) ? (upper[i] as number) : low)),
  );
  const within = Array.from({ length: count }, (_, k) =>
    uniformNumbers(`inside ${seed} ${k}`, lower.length).map(
      (t, i) => (lower[i] as number) + t * ((upper[i] as number) - (lower[i] as number)),
    ),
  );
  return [...corners, ...within];
}
