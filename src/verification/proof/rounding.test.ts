import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  enclosingBox,
  enclosingRadius,
  floatThreshold,
  isInside,
  isProof,
  marginThreshold,
  proofThreshold,
  RUNNING,
  scaleWith,
} from './rounding.js';

const pixel = fc.integer({ min: 0, max: 255 }).map((byte) => Math.fround(byte / 255));
const radius = fc.double({ min: 1e-6, max: 1, noNaN: true });

describe('rounding', () => {
  test('the float32 box of the enclosing radius contains the ball', () => {
    fc.assert(
      fc.property(pixel, radius, (x, epsilon) => {
        const r = Math.fround(enclosingRadius(epsilon));
        expect(Math.fround(x - r)).toBeLessThanOrEqual(x - epsilon);
        expect(Math.fround(x + r)).toBeGreaterThanOrEqual(x + epsilon);
        expect(r - epsilon).toBeLessThan(1e-6);
      }),
    );
  });

  test('a bound is a proof only well above zero, relative to the logits, and not above the margin at the image', () => {
    expect(isProof(1e-3, 0.1, 1)).toBe(true);
    expect(isProof(1e-5, 0.1, 1)).toBe(false);
    expect(isProof(1e-3, 0.1, 1000)).toBe(false);
    expect(isProof(0.2, 0.1, 1)).toBe(false);
    for (const bound of [0, -1, Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])
      expect(isProof(bound, 5, 1)).toBe(false);
  });

  test('a bound must exceed the threshold, and exceed the margin at the image by no more than it', () => {
    expect(isProof(2, 3, 0, 2)).toBe(false);
    expect(isProof(2.5, 3, 0, 2)).toBe(true);
    expect(isProof(5, 3, 0, 2)).toBe(true);
    expect(isProof(5.5, 3, 0, 2)).toBe(false);
  });

  test('a point at the very radius, and at the ends of the pixels, is inside', () => {
    const image = Float32Array.of(0.25, 0.75);
    expect(isInside(Float32Array.of(0.5, 1), image, 0.25, true)).toBe(true);
    expect(isInside(Float32Array.of(0, 1), image, 0.25, true)).toBe(true);
    expect(isInside(Float32Array.of(0, 1.25), image, 0.5, true)).toBe(false);
    expect(isInside(Float32Array.of(0, 1.25), image, 0.5, false)).toBe(true);
  });

  test('a point is inside exactly when every pixel is', () => {
    fc.assert(
      fc.property(
        fc.array(pixel, { minLength: 1, maxLength: 6 }),
        radius,
        fc.nat(),
        (pixels, epsilon, at) => {
          const image = Float32Array.from(pixels);
          expect(isInside(image, image, epsilon, true)).toBe(true);
          const moved = image.slice();
          const k = at % image.length;
          moved[k] = (image[k] as number) + epsilon * 1.001 + 1e-6;
          expect(isInside(moved, image, epsilon, false)).toBe(false);
          moved[k] = -1e-6;
          expect(isInside(moved, image, 1, false)).toBe((image[k] as number) + 1e-6 <= 1);
          expect(isInside(moved, image, 1, true)).toBe(false);
        },
      ),
    );
  });
});

const size = fc.double({ min: 0, max: 1e6, noNaN: true });
/** Rounded to float32 or not, of all sizes. */
const end = fc.oneof(
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(Math.fround),
  fc.constantFrom(0, 1, -1, 2 ** -149, -(2 ** -149), 2 ** -160),
);

describe('thresholds of float32 bounds', () => {
  test('count a tenth of the largest activation as terms', () => {
    expect(scaleWith(3, 20)).toBe(5);
  });

  test('are the running errors of c·y where these are more than the share of its terms', () => {
    const pair = fc.tuple(fc.integer({ min: -3, max: 3 }), size);
    fc.assert(
      fc.property(size, fc.array(pair, { minLength: 1, maxLength: 4 }), (scale, pairs) => {
        const [c, e] = [Float64Array.from(pairs, ([one]) => one), pairs.map(([, error]) => error)];
        const sum = e.reduce((total, error, j) => total + Math.abs(c[j] as number) * error, 0);
        const threshold = floatThreshold(scale, c, (j) => e[j] as number);
        expect(threshold).toBeCloseTo(Math.max(1e-5 * (1 + scale), (RUNNING * sum) / 2 ** 24), 9);
      }),
    );
  });

  test('leave out errors of outputs that do not count, numbers or not', () => {
    const errors = [Number.POSITIVE_INFINITY, 3 * 2 ** 24];
    expect(floatThreshold(0, Float64Array.of(0, 1), (j) => errors[j] as number)).toBe(3 * RUNNING);
  });

  test.each([Number.POSITIVE_INFINITY, Number.NaN, 1e60])(
    'are beyond all numbers of float32 for an error of %d',
    (error) => {
      expect(floatThreshold(0, Float64Array.of(1), () => error)).toBe(1e39);
      expect(marginThreshold(0, 0, [error, 1])).toBe(1e39);
    },
  );

  test("of an image's margins count the label's error and the largest of the others", () => {
    const errors = [2 ** 24, 5 * 2 ** 24, 3 * 2 ** 24];
    expect(marginThreshold(0, 0, errors)).toBe(6 * RUNNING);
    expect(marginThreshold(0, 1, errors)).toBe(8 * RUNNING);
    expect(marginThreshold(1e7, 1, errors)).toBe(proofThreshold(1e7));
  });
});

test('the smallest float32 box that contains a box of float64 numbers', () => {
  fc.assert(
    fc.property(end, end, (a, b) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      const box = enclosingBox({ lower: Float64Array.of(low), upper: Float64Array.of(high) });
      const [lower, upper] = [box.lower[0] as number, box.upper[0] as number];
      expect(lower).toBeLessThanOrEqual(low);
      expect(upper).toBeGreaterThanOrEqual(high);
      // The nearest float32 where it lies outside, or the end is one; else its neighbour, half of a unit off.
      if (Math.fround(low) <= low) expect(lower).toBe(Math.fround(low));
      if (Math.fround(high) >= high) expect(upper).toBe(Math.fround(high));
      expect(Math.fround((lower + Math.fround(low)) / 2)).toBeOneOf([lower, Math.fround(low)]);
      expect(Math.fround((upper + Math.fround(high)) / 2)).toBeOneOf([upper, Math.fround(high)]);
    }),
  );
});
