/**
 * Threefry-2x32-20: random bits as a pure function of (key, counter).
 *
 * Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. With a counter there is
 * no state to carry or to split among workers: any range of any stream can be made anywhere, in any order.
 * The 13-round variant, the fewest that pass BigCrush, would save a third of the cipher but only a seventh of
 * a normal draw, so the paper's recommended 20 rounds are kept. Everything is int32 addition, rotation and
 * xor, so that a graph can repeat it bit for bit.
 */

/** Two uint32 words that name a stream of random numbers. */
export type Key = readonly [number, number];

/** Makes the three key words sum, by xor, to the cipher's constant (Skein's C240 cut to 32 bits). */
export const PARITY = 0x1bd11bda;
export const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;

/**
 * One block of the cipher: the two uint32 words at counter (c0, c1). Plain and short; `fillBits` is the fast
 * form.
 */
export function threefry(key: Key, c0: number, c1: number): Key {
  const words = [key[0], key[1], key[0] ^ key[1] ^ PARITY] as const;
  let x0 = (c0 + words[0]) | 0;
  let x1 = (c1 + words[1]) | 0;
  for (let round = 0; round < 20; round++) {
    const rotation = ROTATIONS[round % 8] as number;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0;
    if (round % 4 === 3) {
      const s = (round + 1) / 4;
      x0 = (x0 + (words[s % 3] as number)) | 0;
      x1 = (x1 + (words[(s + 1) % 3] as number) + s) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

/**
 * out[i] = word start + i of the key's stream, as int32, for i < count. Word j is half j mod 2 of the block
 * at counter (⌊j/2⌋, 0). 0 ≤ start and start + count ≤ 2³³; callers check.
 */
export function fillBits(key: Key, out: Int32Array, start: number, count: number): void {
  if (count <= 0) return;
  let i = 0;
  if (start % 2 === 1) out[i++] = threefry(key, (start - 1) / 2, 0)[1];
  const k0 = key[0] | 0;
  const k1 = key[1] | 0;
  const k2 = k0 ^ k1 ^ PARITY;
  let counter = ((start + i) / 2) | 0;
  for (; i + 1 < count; i += 2, counter = (counter + 1) | 0) {
    let x0 = (counter + k0) | 0;
    let x1 = k1;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
    x0 = (x0 + k1) | 0;
    x1 = (x1 + k2 + 1) | 0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
    x0 = (x0 + k2) | 0;
    x1 = (x1 + k0 + 2) | 0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
    x0 = (x0 + k0) | 0;
    x1 = (x1 + k1 + 3) | 0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
    x0 = (x0 + k1) | 0;
    x1 = (x1 + k2 + 4) | 0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
    x0 = (x0 + k2) | 0;
    x1 = (x1 + k0 + 5) | 0;
    out[i] = x0;
    out[i + 1] = x1;
  }
  if (i < count) out[i] = threefry(key, counter, 0)[0];
}
