/** The σ of perturbations: of all coordinates, of groups of them, or of each; as numbers, and as programs read it. */
import { broadcastTo, concat, input, slice, type Tensor } from '../graph/index.js';
import type { CoordinateRange } from '../runtime/weighted-normals.js';

/** One σ for each range of coordinates; the ranges follow one another and cover all of them. */
export interface GroupedSigma {
  readonly values: Float32Array;
  readonly groups: readonly CoordinateRange[];
}

/** One number, one for each group of coordinates, or one for each coordinate. */
export type Sigma = number | GroupedSigma | Float32Array;

const spreads = new WeakMap<GroupedSigma, Float32Array>();

/** σ as a number or one of each coordinate; the same array when asked for again. */
export function perCoordinate(sigma: Sigma): number | Float32Array {
  if (typeof sigma === 'number' || sigma instanceof Float32Array) return sigma;
  const known = spreads.get(sigma);
  if (known !== undefined) return known;
  const spread = new Float32Array(sigma.groups.reduce((sum, { size }) => sum + size, 0));
  for (const [g, { offset, size }] of sigma.groups.entries()) spread.fill(sigma.values[g] as number, offset, offset + size);
  spreads.set(sigma, spread);
  return spread;
}

/** What of a σ programs depend on. */
export type SigmaForm = 'one' | 'each' | readonly CoordinateRange[];

export function formOf(sigma: Sigma): SigmaForm {
  if (typeof sigma === 'number') return 'one';
  return sigma instanceof Float32Array ? 'each' : sigma.groups;
}

/** What programs are fed with: one number, one of each group, or one of each coordinate. */
export function feedOf(sigma: Sigma): Float32Array {
  if (typeof sigma === 'number') return Float32Array.of(sigma);
  return sigma instanceof Float32Array ? sigma : sigma.values;
}

/** σ of `size` coordinates from the input `σ`: [1] where they share it, else [size]. */
export function sigmaTensor(form: SigmaForm, size: number): Tensor {
  if (form === 'one') return input('σ', [1]);
  if (form === 'each') return input('σ', [size]);
  const values = input('σ', [form.length]);
  return concat(
    form.map(({ size: n }, g) => broadcastTo(slice(values, 0, g, g + 1), [n])),
    0,
  );
}
