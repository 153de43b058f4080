import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOf } from '../runtime/random/keys.js';
import { splitValidation } from './validation.js';

/** Images of two pixels: the image's number and its double; the label is the number modulo 10. */
const train = (count: number, wide = false) => {
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  const images = Uint8Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? i / 2 : i - 1));
  return { images, labels: wide ? Int32Array.from(labels) : labels, count };
};
const numbers = (split: { images: Uint8Array }) => [...split.images].filter((_, i) => i % 2 === 0);
const splits = fc
  .integer({ min: 2, max: 120 })
  .chain((count) =>
    fc.tuple(fc.constant(count), fc.integer({ min: 1, max: count - 1 }), fc.integer().map(keyOf)),
  );

describe('a validation split', () => {
  it('divides the training images into two parts of the sizes asked, without overlap or loss, labels with their images', () => {
    fc.assert(
      fc.property(splits, fc.boolean(), ([count, size, key], wide) => {
        const parts = splitValidation(train(count, wide), size, key);
        expect([parts.train.count, parts.validation.count]).toEqual([count - size, size]);
        expect([...numbers(parts.train), ...numbers(parts.validation)].sort((a, b) => a - b)).toEqual(
          Array.from({ length: count }, (_, i) => i),
        );
        for (const part of [parts.train, parts.validation]) {
          expect([...part.labels]).toEqual(numbers(part).map((number) => number % 10));
          expect([...part.images].filter((_, i) => i % 2 === 1)).toEqual(
            numbers(part).map((number) => 2 * number),
          );
          expect(part.labels instanceof Int32Array).toBe(wide);
        }
      }),
    );
  });

  it('is the same for the same key, another for another, and grows by adding images', () => {
    const held = (size: number, seed: number) =>
      numbers(splitValidation(train(100), size, keyOf(seed)).validation);
    expect(held(30, 1)).toEqual(held(30, 1));
    expect(held(30, 1)).not.toEqual(held(30, 2));
    expect(held(50, 1).slice(-30)).toEqual(held(30, 1));
  });

  it('leaves at least one image on either side', () => {
    for (const size of [0, 10, 11, 2.5])
      expect(() => splitValidation(train(10), size, keyOf(0))).toThrow(
        `between 1 and 9 of 10 training images, got ${size}`,
      );
  });
});
