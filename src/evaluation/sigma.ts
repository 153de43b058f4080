/**
 * The σ of perturbations: of all coordinates, of groups of them, or of each; as numbers, and as programs read
 * it.
 */
import { broadcastTo, concat, input, mul, slice, type Tensor } from '../graph/index.js';
import { isKeptVector, type KeptVector } from '../runtime/pool/task.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import type { Vector } from './vector.js';

/** One σ for each range of coordinates; the ranges follow one another and cover all of them. */
export interface GroupedSigma {
  readonly values: Float32Array;
  readonly groups: readonly CoordinateRange[];
}

/** factor · σ of each coordinate, σ being on a device. */
export interface ScaledSigma {
  readonly vector: Vector;
  readonly factor: number;
}

/** One number, one for each group of coordinates, or one for each coordinate. */
export type Sigma = number | GroupedSigma | ScaledSigma | Float32Array;

const isGrouped = (sigma: object): sigma is GroupedSigma => 'groups' in sigma;

function spreadOverGroups({ values, groups }: GroupedSigma): Float32Array {
  const spread = new Float32Array(groups.reduce((sum, { size }) => sum + size, 0));
  for (const [g, { offset, size }] of groups.entries())
    spread.fill(values[g] as number, offset, offset + size);
  return spread;
}

function scaled({ vector, factor }: ScaledSigma): Float32Array {
  if (!(vector instanceof Float32Array))
    throw new TypeError('σ: expected numbers on the host, got a vector on a device');
  return vector.map((value) => factor * value);
}

const spreads = new WeakMap<object, Float32Array>();

/**
 * σ as a number or one of each coordinate; the same array when asked for again.
 * @throws TypeError for a σ on a device
 */
export function perCoordinate(sigma: Sigma): number | Float32Array {
  if (typeof sigma === 'number' || sigma instanceof Float32Array) return sigma;
  const known = spreads.get(sigma);
  if (known !== undefined) return known;
  const spread = isGrouped(sigma) ? spreadOverGroups(sigma) : scaled(sigma);
  spreads.set(sigma, spread);
  return spread;
}

/** −σ of each coordinate, which gives the points θ − σ∘z. */
export function opposite(sigma: Sigma): number | Float32Array {
  const spread = perCoordinate(sigma);
  return typeof spread === 'number' ? -spread : spread.map((value) => -value);
}

/** What of a σ programs depend on. */
export type SigmaForm = 'one' | 'each' | 'scaled' | readonly CoordinateRange[];

export function formOf(sigma: Sigma): SigmaForm {
  if (typeof sigma === 'number') return 'one';
  if (sigma instanceof Float32Array) return 'each';
  return isGrouped(sigma) ? sigma.groups : 'scaled';
}

/** Arrays that programs are fed with, on the host but for the vector of a scaled σ. */
export function sigmaFeeds(sigma: Sigma): Readonly<Record<string, Float32Array | KeptVector>> {
  if (typeof sigma === 'number') return { σ: Float32Array.of(sigma) };
  if (sigma instanceof Float32Array) return { σ: sigma };
  if (isGrouped(sigma)) return { σ: sigma.values };
  const { vector, factor } = sigma;
  if (!(vector instanceof Float32Array || isKeptVector(vector)))
    throw new TypeError('σ: expected a Float32Array or a vector on a device');
  return { σ: vector, 'factor of σ': Float32Array.of(factor) };
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
