import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveKey, type Key, keyOf, permutation, randomIntegers, uniforms } from './keys.js';
import { fillBits, threefry } from './threefry.js';

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const keys = fc.tuple(word, word);

describe('threefry', () => {
  it.each<[Key, Key, Key]>([
    [
      [0, 0],
      [0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344],
      [0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ])('gives the published known answers: key %j, counter %j', (key, counter, answer) => {
    expect(threefry(key, counter[0], counter[1])).toEqual(answer);
  });

  it('in bulk is the same cipher, from any start', () => {
    fc.assert(
      fc.property(
        keys,
        fc.integer({ min: 0, max: 2 ** 33 - 50 }),
        fc.integer({ min: 0, max: 40 }),
        (key, start, count) => {
          const out = new Int32Array(count);
          fillBits(key, out, start, count);
          const expected = Array.from(
            out,
            (_, i) => threefry(key, Math.floor((start + i) / 2), 0)[((start + i) % 2) as 0 | 1],
          );
          expect(Array.from(out, (bits) => bits >>> 0)).toEqual(expected);
        },
      ),
    );
  });
});

describe('keys', () => {
  it('derived from different indices never meet in a hundred thousand', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 100_000; i++) seen.add(deriveKey(keyOf(1), i % 300, Math.floor(i / 300)).join());
    expect(seen.size).toBe(100_000);
  });

  it('are not words that the parent key draws', () => {
    fc.assert(
      fc.property(keys, word, (key, a) => {
        expect(deriveKey(key, a, 0)).not.toEqual(threefry(key, a, 0));
      }),
    );
  });

  it('of different seeds differ, of equal seeds agree', () => {
    const seed = fc.oneof(fc.maxSafeInteger(), fc.string());
    fc.assert(
      fc.property(seed, seed, (a, b) => {
        expect(keyOf(a)).toEqual(keyOf(a));
        if (!Object.is(a, b) && !(a === 0 && b === 0)) expect(keyOf(a)).not.toEqual(keyOf(b));
      }),
    );
    expect(keyOf(-1)).not.toEqual(keyOf(1));
    expect(keyOf('3')).not.toEqual(keyOf(3));
  });

  it('refuse what is not an integer', () => {
    expect(() => keyOf(0.5)).toThrow(/expected an integer seed/);
    expect(() => deriveKey([0, 0], 2 ** 32, 0)).toThrow(/expected 32-bit integers/);
    expect(() => deriveKey([0, 0], 0, 1.5)).toThrow(/expected 32-bit integers/);
  });
});

/** Pearson's χ² of counts against equal expectations, in standard deviations above its mean. */
const excess = (counts: readonly number[]): number => {
  const expected = counts.reduce((a, b) => a + b) / counts.length;
  const chi2 = counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  return (chi2 - (counts.length - 1)) / Math.sqrt(2 * (counts.length - 1));
};

describe('uniform draws', () => {
  it('fill [0, 1) evenly and do not depend on the range they are made in', () => {
    const all = new Float32Array(100_000);
    uniforms(keyOf(2), all);
    const counts = new Array<number>(100).fill(0);
    for (const u of all) (counts[Math.floor(u * 100)] as number)++;
    expect(Math.min(...all)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...all)).toBeLessThan(1);
    expect(excess(counts)).toBeLessThan(4);
    const part = new Float32Array(10);
    uniforms(keyOf(2), part, 777);
    expect(part).toEqual(all.slice(777, 787));
  });

  it('of integers stay below the bound and hit every value equally often', () => {
    const counts = new Array<number>(13).fill(0);
    for (const n of randomIntegers(keyOf(3), 13, 50_000)) (counts[n] as number)++;
    expect(counts).toHaveLength(13);
    expect(excess(counts)).toBeLessThan(4);
    expect(() => randomIntegers(keyOf(3), 0, 1)).toThrow(/expected a bound/);
  });
});

describe('permutation', () => {
  it('holds every index once', () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 0, max: 300 }), (key, n) => {
        expect(Array.from(permutation(key, n)).sort((a, b) => a - b)).toEqual(
          Array.from({ length: n }, (_, i) => i),
        );
      }),
    );
  });

  it('takes each of the 24 orders of four equally often', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = permutation(deriveKey(keyOf(4), i, 0), 4).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(excess([...counts.values()])).toBeLessThan(4);
  });
});
