import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { enclosingRadius, isInside, isProof } from './rounding.js';

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
