/**
 * The σ of perturbations: of all coordinates, of groups of them, or of each; as numbers, and as programs read
 * it.
 */
import { broadcastTo, concat, input, mul, slice, type Tensor } from '../graph/index.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import type { Vector } from '../smoothing/vector.js';

/** One σ for each range of coordinates; the ranges follow one another and cover all of them. */
export interface GroupedSigma {
  readonly values: Float32Array;
  readonly groups: readonly CoordinateRange[];
}

/** factor · σ of each coordinate, σ being wherever vectors are. */
export interface ScaledSigma<V extends Vector = Float32Array> {
  readonly vector: V;
  readonly factor: number;
}

/** One number, one for each group of coordinates, or one for each coordinate. */
export type Sigma<V extends Vector = Float32Array> = number | GroupedSigma | ScaledSigma<V> | Float32Array;

const isGrouped = (sigma: object): sigma is GroupedSigma => 'groups' in sigma;

const spreads = new WeakMap<object, Float32Array>();

/** σ as a number or one of each coordinate; the same array when asked for again. */
export function perCoordinate(sigma: Sigma): number | Float32Array {
  if (typeof sigma === 'number' || sigma instanceof Float32Array) return sigma;
  const known = spreads.get(sigma);
  if (known !== undefined) return known;
  const spread = isGrouped(sigma)
    ? new Float32Array(sigma.groups.reduce((sum, { size }) => sum + size, 0))
    : sigma.vector.map((value) => sigma.factor * value);
  if (isGrouped(sigma))
    for (const [g, { offset, size }] of sigma.groups.entries())
      spread.fill(sigma.values[g] as number, offset, offset + size);
  spreads.set(sigma, spread);
  return spread;
}

/** What of a σ programs depend on. */
export type SigmaForm = 'one' | 'each' | 'scaled' | readonly CoordinateRange[];

export function formOf(sigma: Sigma<Vector>): SigmaForm {
  if (typeof sigma === 'number') return 'one';
  if (sigma instanceof Float32Array) return 'each';
  return isGrouped(sigma) ? sigma.groups : 'scaled';
}

/** What programs are fed with, of the host but for the vector of a scaled σ. */
export function sigmaFeeds<V extends Vector>(sigma: Sigma<V>): Readonly<Record<string, Float32Array | V>> {
  if (typeof sigma === 'number') return { σ: Float32Array.of(sigma) };
  if (sigma instanceof Float32Array) return { σ: sigma };
  return isGrouped(sigma)
    ? { σ: sigma.values }
    : { σ: sigma.vector, 'factor of σ': Float32Array.of(sigma.factor) };
}

/** σ of `size` coordinates from what `sigmaFeeds` gives: [1] where they share it, else [size]. */
export function sigmaTensor(form: SigmaForm, size: number): Tensor {
  if (form === 'one') return input('σ', [1]);
  if (form === 'each') return input('σ', [size]);
  if (form === 'scaled') return mul(input('σ', [size]), input('factor of σ', [1]));
  const values = input('σ', [form.length]);
  return concat(
    form.map(({ size: n }, g) => broadcastTo(slice(values, 0, g, g + 1), [n])),
    0,
  );
}
