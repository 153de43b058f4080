/**
 * Standard normal numbers as a function of (key, coordinate), and the two things smoothing does with them:
 * perturbing θ and summing weighted perturbations. Perturbations are never stored, only made again from their
 * keys.
 *
 * z = Φ⁻¹((b + ½)/2³² + ½) of one int32 word b, by the rational approximations of Wichura, "Algorithm AS 241:
 * the percentage points of the normal distribution", 1988 (PPND7, relative error below 1e-7). |z| reaches
 * 6.34. The arithmetic is double (+, ×, ÷, √ and one logarithm in the tails) and rounds to float32 at the
 * end, so that every machine gets the same numbers.
 */
import { fillBits, type Key } from './threefry.js';

/** Coordinates that share a σ. */
export interface CoordinateRange {
  readonly offset: number;
  readonly size: number;
}

/** Words and normals of one stretch of coordinates: small enough for the first-level cache, made once. */
const STRETCH = 1024;
const bits = new Int32Array(STRETCH);
const tail = new Int32Array(STRETCH);
const scratch = new Float32Array(STRETCH);

/** The last |b| with |q| = (|b| + ½)/2³² ≤ 0.425, where the central approximation ends. */
export const CENTRAL = Math.floor(0.425 * 2 ** 32 - 0.5);

/** z[i] = normal of coordinate start + i, for i < count ≤ STRETCH. */
function stretch(key: Key, z: Float32Array, start: number, count: number): void {
  fillBits(key, bits, start, count);
  // The centre holds 85 % of the numbers; it is computed for all, and the tails again after, as a branch here
  // would be mispredicted.
  let tails = 0;
  for (let i = 0; i < count; i++) {
    const b = bits[i] as number;
    const q = (b + 0.5) * 2 ** -32;
    const r = 0.180625 - q * q;
    tail[tails] = i;
    tails += (CENTRAL - (b ^ (b >> 31))) >>> 31;
    const numerator = ((59.10937472 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179;
    const denominator = ((67.1875636 * r + 78.757757664) * r + 17.895169469) * r + 1;
    z[i] = (q * numerator) / denominator;
  }
  for (let t = 0; t < tails; t++) {
    const i = tail[t] as number;
    const q = ((bits[i] as number) + 0.5) * 2 ** -32;
    const r = Math.sqrt(-Math.log(0.5 - Math.abs(q))) - 1.6;
    const numerator = ((0.17023821103 * r + 1.3067284816) * r + 2.75681539) * r + 1.4234372777;
    const size = numerator / ((0.12021132975 * r + 0.7370016425) * r + 1);
    z[i] = q < 0 ? -size : size;
  }
}

function checkRange(name: string, start: number, count: number): void {
  if (Number.isInteger(start) && start >= 0 && start + count <= 2 ** 33) return;
  throw new RangeError(
    `${name}: expected coordinates within 0 … 2³³, got ${count} from ${start}; use another key for more`,
  );
}

/**
 * out[i] = z_{start + i}(key) ∼ N(0, 1): a coordinate's number does not depend on the range it is made in.
 */
export function fillNormals(key: Key, out: Float32Array, start = 0): void {
  checkRange('fillNormals', start, out.length);
  for (let i = 0; i < out.length; i += STRETCH) {
    const count = Math.min(STRETCH, out.length - i);
    stretch(key, scratch, start + i, count);
    for (let k = 0; k < count; k++) out[i + k] = scratch[k] as number;
  }
}

function checkLengths(
  name: string,
  size: number,
  sigma: number | Float32Array,
  outs: readonly Float32Array[],
): void {
  if (typeof sigma !== 'number' && sigma.length !== size)
    throw new RangeError(`${name}: expected one σ or ${size}, got ${sigma.length}`);
  for (const out of outs)
    if (out.length !== size)
      throw new RangeError(`${name}: expected an output of ${size} entries, got ${out.length}`);
}

/**
 * out = θ + sign · σ∘z(key), rounded once to float32; σ is one number or one per coordinate; `out` may be θ
 * itself.
 */
export function perturb(
  theta: Float32Array,
  key: Key,
  sigma: number | Float32Array,
  sign: 1 | -1,
  out: Float32Array,
): void {
  checkLengths('perturb', theta.length, sigma, [out]);
  for (let i = 0; i < theta.length; i += STRETCH) {
    const count = Math.min(STRETCH, theta.length - i);
    stretch(key, scratch, i, count);
    if (typeof sigma === 'number') {
      const s = sign * sigma;
      for (let k = 0; k < count; k++) out[i + k] = (theta[i + k] as number) + s * (scratch[k] as number);
    } else {
      for (let k = 0; k < count; k++)
        out[i + k] = (theta[i + k] as number) + sign * (sigma[i + k] as number) * (scratch[k] as number);
    }
  }
}

/** plus = θ + σ∘z(key) and minus = θ − σ∘z(key), the same numbers as `perturb` with z made once. */
export function perturbPair(
  theta: Float32Array,
  key: Key,
  sigma: number | Float32Array,
  plus: Float32Array,
  minus: Float32Array,
): void {
  checkLengths('perturbPair', theta.length, sigma, [plus, minus]);
  for (let i = 0; i < theta.length; i += STRETCH) {
    const count = Math.min(STRETCH, theta.length - i);
    stretch(key, scratch, i, count);
    for (let k = 0; k < count; k++) {
      const center = theta[i + k] as number;
      const shift = (typeof sigma === 'number' ? sigma : (sigma[i + k] as number)) * (scratch[k] as number);
      plus[i + k] = center + shift;
      minus[i + k] = center - shift;
    }
  }
}

/** Σ_j vector[j]·z_j(key), in float64. */
export function projectNormals(key: Key, vector: Float64Array): number {
  checkRange('projectNormals', 0, vector.length);
  let sum = 0;
  for (let i = 0; i < vector.length; i += STRETCH) {
    const count = Math.min(STRETCH, vector.length - i);
    stretch(key, scratch, i, count);
    for (let k = 0; k < count; k++) sum += (vector[i + k] as number) * (scratch[k] as number);
  }
  return sum;
}

/**
 * Σ_i first[i]·z(keys[i]) and, if asked, Σ_i second[i]·(z(keys[i])² − 1), for coordinates start … start +
 * count, in float64. Terms are added in the order of i at every coordinate, so that splitting the coordinates
 * among workers changes no bit.
 */
export function accumulateNormals(
  keys: readonly Key[],
  first: Float64Array,
  second: Float64Array | undefined,
  start: number,
  count: number,
): { first: Float64Array; second?: Float64Array } {
  checkRange('accumulateNormals', start, count);
  if (first.length !== keys.length || (second !== undefined && second.length !== keys.length)) {
    throw new RangeError(
      `accumulateNormals: expected ${keys.length} weights, one per key, got ` +
        `${first.length}${second ? ` and ${second.length}` : ''}`,
    );
  }
  const sums = new Float64Array(count);
  const squares = second && new Float64Array(count);
  for (let i = 0; i < count; i += STRETCH) {
    const length = Math.min(STRETCH, count - i);
    for (const [n, key] of keys.entries()) {
      stretch(key, scratch, start + i, length);
      const weight = first[n] as number;
      for (let k = 0; k < length; k++) (sums[i + k] as number) += weight * (scratch[k] as number);
      if (squares === undefined || second === undefined) continue;
      const squareWeight = second[n] as number;
      for (let k = 0; k < length; k++) {
        const z = scratch[k] as number;
        (squares[i + k] as number) += squareWeight * (z * z - 1);
      }
    }
  }
  return squares === undefined ? { first: sums } : { first: sums, second: squares };
}
