import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOf } from '../runtime/random/keys.js';
import { ball, boxBetween, randomPoint, signedStep } from './box.js';

const pixel = fc.oneof(
  fc.constantFrom(0, 1, 0.5, 2 ** -149, 1e-20, 0.1),
  fc.float({ min: 0, max: 1, noNaN: true }),
);
const radius = fc.oneof(
  fc.constantFrom(0, 2 / 255, 8 / 255, 0.1, 0.3, 0.5, 2 ** -60),
  fc.double({ min: 0, max: 1, noNaN: true }),
);

/** A finite double as an integer multiple of 2⁻¹⁰⁷⁴: exact arithmetic. */
function exact(v: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, v);
  const bits = view.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & 0xfffffffffffffn;
  const size = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
  return bits >> 63n ? -size : size;
}
function nextFloat(v: number): number {
  const single = Float32Array.of(v);
  const word = new Int32Array(single.buffer);
  word[0] = (word[0] as number) + 1;
  return single[0] as number;
}

describe('the ball of an attack', () => {
  it('is inside the real ball and [0, 1], exactly, and holds the image', () => {
    fc.assert(
      fc.property(pixel, radius, (v, epsilon) => {
        const { lower, upper } = ball(Float32Array.of(v), epsilon);
        const [x, low, high] = [Math.fround(v), lower[0] as number, upper[0] as number];
        expect(exact(x) - exact(low) <= exact(epsilon) && exact(high) - exact(x) <= exact(epsilon)).toBe(
          true,
        );
        expect(low >= 0 && low <= x && x <= high && high <= 1).toBe(true);
      }),
      // The example's distance, in doubles, rounds to ε itself although the end is outside.
      { numRuns: 2000, examples: [[3 * 2 ** -56, 0.5 - 2 ** -54]] },
    );
  });

  it('is as large as float32 allows: the next number above is outside', () => {
    fc.assert(
      fc.property(pixel, radius, (v, epsilon) => {
        const high = ball(Float32Array.of(v), epsilon, false).upper[0] as number;
        expect(exact(nextFloat(high)) - exact(Math.fround(v)) > exact(epsilon)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses pixels that are not in [0, 1] and radii that are none', () => {
    expect(() => ball(Float32Array.of(0, 1.5), 0.1)).toThrow(
      'attack: expected pixels in [0, 1], got 1.5 at position 1',
    );
    expect(ball(Float32Array.of(1.5), 0.5, false).upper[0]).toBe(2);
    expect(() => ball(Float32Array.of(0), Number.NaN)).toThrow('radius ε ≥ 0, got NaN');
    expect(() => ball(Float32Array.of(0), -0.1)).toThrow('radius ε ≥ 0, got -0.1');
    expect(() => boxBetween(Float32Array.of(1), Float32Array.of(0))).toThrow(
      'expected lower ≤ upper, got [1, 0] at position 0',
    );
  });
});

describe('points and steps', () => {
  const ends = fc.array(
    fc.tuple(fc.float({ min: -4, max: 4, noNaN: true }), fc.float({ min: -4, max: 4, noNaN: true })),
    { minLength: 2, maxLength: 8 },
  );
  it('stay in the box, whatever the direction, NaN included', () => {
    fc.assert(
      fc.property(ends, fc.integer(), fc.double({ min: 0, max: 3, noNaN: true }), (pairs, seed, size) => {
        const box = boxBetween(
          Float32Array.from(pairs, (p) => Math.min(...p)),
          Float32Array.from(pairs, (p) => Math.max(...p)),
        );
        const x = new Float32Array(pairs.length);
        const inside = () =>
          x.every((v, i) => v >= (box.lower[i] as number) && v <= (box.upper[i] as number));
        randomPoint(box, keyOf(seed), 0, pairs.length, x);
        expect(inside()).toBe(true);
        signedStep(
          box,
          x,
          Float32Array.from(pairs, (_, i) => [1, -1, 0, Number.NaN][i % 4] as number),
          size,
          0,
          pairs.length,
        );
        expect(inside()).toBe(true);
      }),
    );
  });
  it('move by size · radius in the direction of the sign, and one row only', () => {
    const box = boxBetween(Float32Array.of(0, 0, 0, 0), Float32Array.of(2, 4, 2, 4));
    const x = Float32Array.of(1, 1, 1, 1);
    signedStep(box, x, Float32Array.of(9, 9, -0.1, 0), 0.5, 1, 2);
    expect([...x]).toEqual([1, 1, 0.5, 1]);
  });
});
