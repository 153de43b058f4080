/**
 * Counter-based random numbers: everything random in tautnet is a pure function of a key and an index.
 *
 * A key serves one purpose: derive one key per use (`deriveKey(key, step, sample)`) and draw from each once.
 * Two draws from the same key, normals and integers say, are made of the same bits and are not independent;
 * derived keys are independent of draws.
 */
import { fillBits, type Key, threefry } from './threefry.js';

export { accumulateNormals, fillNormals, perturb, perturbPair, projectNormals } from './normals.js';
export type { Key } from './threefry.js';

/**
 * Deriving enciphers under key ⊕ this, so that a derived key never equals words that were drawn under the key
 * itself.
 */
const DERIVE: Key = [0x9e3779b9, 0x85ebca6b];
const TEXT: Key = [0x74657874, 0];

/** A child key for two integers (step and sample, epoch and index, …), each within −2³¹ … 2³² − 1. */
export function deriveKey(key: Key, a: number, b: number): Key {
  for (const index of [a, b]) {
    if (!Number.isInteger(index) || index < -(2 ** 31) || index >= 2 ** 32)
      throw new RangeError(`deriveKey: expected 32-bit integers, got ${a}, ${b}`);
  }
  return threefry([key[0] ^ DERIVE[0], key[1] ^ DERIVE[1]], a, b);
}

/**
 * The key of a seed: a safe integer, or any text, every character of which counts ("mnist run 3"). The seeds
 * 3 and "3" differ.
 */
export function keyOf(seed: number | string): Key {
  if (typeof seed === 'string') {
    let key = deriveKey(TEXT, seed.length, 0);
    for (let i = 0; i < seed.length; i++) key = deriveKey(key, seed.charCodeAt(i), i);
    return key;
  }
  if (!Number.isSafeInteger(seed))
    throw new RangeError(`keyOf: expected an integer seed between −2⁵³ and 2⁵³ or a text, got ${seed}`);
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

/**
 * out[i] uniform on {0, 1, …, 2²⁴ − 1}/2²⁴ ⊂ [0, 1), exact in float32; entry i depends on the key and start +
 * i only.
 */
export function uniforms(key: Key, out: Float32Array, start = 0): void {
  const words = new Int32Array(out.length);
  fillBits(key, words, start, out.length);
  for (let i = 0; i < out.length; i++) out[i] = ((words[i] as number) >>> 8) * 2 ** -24;
}

/** A 53-bit uniform number in [0, 1) from two words. */
const uniform53 = (high: number, low: number): number => ((high >>> 5) * 2 ** 26 + (low >>> 6)) * 2 ** -53;

/**
 * `count` integers uniform on 0 … below − 1, below ≤ 2³². No value's probability is off by more than 2⁻⁵³.
 */
export function randomIntegers(key: Key, below: number, count: number): Float64Array {
  if (!Number.isInteger(below) || below < 1 || below > 2 ** 32)
    throw new RangeError(`randomIntegers: expected a bound of 1 to 2³², got ${below}`);
  const words = new Int32Array(2 * count);
  fillBits(key, words, 0, words.length);
  return Float64Array.from({ length: count }, (_, i) =>
    Math.floor(uniform53(words[2 * i] as number, words[2 * i + 1] as number) * below),
  );
}

/** A uniformly random order of 0 … n − 1 (Fisher–Yates; Durstenfeld 1964). */
export function permutation(key: Key, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const words = new Int32Array(2 * n);
  fillBits(key, words, 0, words.length);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(uniform53(words[2 * i] as number, words[2 * i + 1] as number) * (i + 1));
    const moved = order[i] as number;
    order[i] = order[j] as number;
    order[j] = moved;
  }
  return order;
}
