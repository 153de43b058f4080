import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOf } from '../runtime/random/keys.js';
import { type Augmentation, augmentationNamed, movementOf, writeMoved } from './augmentation.js';
import { assembleBatch } from './batches.js';
import type { ImageShape } from './dataset.js';

const key = fc.integer().map(keyOf);
const shape = fc.tuple(
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 1, max: 6 }),
  fc.integer({ min: 1, max: 6 }),
) as fc.Arbitrary<ImageShape>;
const bytesAsFloats = Float32Array.from({ length: 256 }, (_, byte) => byte);

describe('the movement of an image', () => {
  it('is the same for the same key, epoch and image, whatever was asked before', () => {
    const augmentation: Augmentation = { shape: [3, 32, 32], flip: true, padding: 2 };
    fc.assert(
      fc.property(key, fc.nat({ max: 500 }), fc.nat({ max: 100_000 }), (k, epoch, image) => {
        const movement = movementOf(augmentation, k, epoch, image);
        movementOf(augmentation, k, epoch + 1, image);
        expect(movementOf(augmentation, k, epoch, image)).toEqual(movement);
      }),
    );
  });

  it('takes each of the 2·(2p + 1)² possibilities equally often, over images and over epochs', () => {
    const augmentation: Augmentation = { shape: [3, 32, 32], flip: true, padding: 2 };
    const draws = 20_000;
    for (const at of [(i: number) => [3, i], (i: number) => [i, 7]] as const) {
      const counts = new Map<string, number>();
      for (let i = 0; i < draws; i++) {
        const [epoch, image] = at(i) as [number, number];
        const { flip, dx, dy } = movementOf(augmentation, keyOf(1), epoch, image);
        counts.set(`${flip} ${dx} ${dy}`, (counts.get(`${flip} ${dx} ${dy}`) ?? 0) + 1);
      }
      expect(counts.size).toBe(50);
      const expected = draws / 50;
      const chiSquare = [...counts.values()].reduce(
        (sum, count) => sum + (count - expected) ** 2 / expected,
        0,
      );
      // 49 degrees of freedom: beyond 100 once in 25,000 keys; the key is fixed.
      expect(chiSquare).toBeLessThan(100);
    }
  });

  it('stays within what the name allows', () => {
    const at = (name: 'flip' | 'crop', i: number) =>
      movementOf(augmentationNamed(name, [3, 64, 64]) as Augmentation, keyOf(2), 0, i);
    const flips = Array.from({ length: 300 }, (_, i) => at('flip', i));
    const crops = Array.from({ length: 3000 }, (_, i) => at('crop', i));
    expect(flips.every(({ dx, dy }) => dx === 0 && dy === 0)).toBe(true);
    expect(crops.every(({ flip }) => !flip)).toBe(true);
    expect(new Set(crops.map(({ dx }) => dx)).size).toBe(9);
    expect([Math.min(...crops.map(({ dy }) => dy)), Math.max(...crops.map(({ dy }) => dy))]).toEqual([-4, 4]);
    expect(augmentationNamed('flip-crop', [3, 32, 32])).toEqual({
      shape: [3, 32, 32],
      flip: true,
      padding: 2,
    });
    expect(augmentationNamed('none', [3, 32, 32])).toBeUndefined();
  });
});

describe('a moved image', () => {
  const moved = (
    bytes: Uint8Array,
    size: ImageShape,
    movement: { flip: boolean; dx: number; dy: number },
  ) => {
    const out = new Float32Array(bytes.length);
    writeMoved(bytes, 0, size, movement, bytesAsFloats, out, 0);
    return [...out];
  };

  it('is what padding by edge pixels, cropping and mirroring give', () => {
    const image = fc.tuple(shape, fc.integer({ min: 0, max: 3 })).chain(([size, padding]) =>
      fc.record({
        size: fc.constant(size),
        bytes: fc.uint8Array({
          minLength: size[0] * size[1] * size[2],
          maxLength: size[0] * size[1] * size[2],
        }),
        padding: fc.constant(padding),
        dx: fc.integer({ min: -padding, max: padding }),
        dy: fc.integer({ min: -padding, max: padding }),
        flip: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(image, ({ size, bytes, padding, dx, dy, flip }) => {
        const [channels, height, width] = size;
        const rows = (channel: number) =>
          Array.from({ length: height }, (_, y) => [
            ...bytes.subarray((channel * height + y) * width, (channel * height + y + 1) * width),
          ]);
        const repeated = <T>(list: T[]): T[] => [
          ...Array<T>(padding).fill(list[0] as T),
          ...list,
          ...Array<T>(padding).fill(list.at(-1) as T),
        ];
        const expected = Array.from({ length: channels }, (_, channel) => {
          const padded = repeated(rows(channel).map(repeated));
          const cropped = padded
            .slice(padding + dy, padding + dy + height)
            .map((row) => row.slice(padding + dx, padding + dx + width));
          return flip ? cropped.map((row) => row.toReversed()) : cropped;
        });
        expect(moved(bytes, size, { flip, dx, dy })).toEqual(expected.flat(2));
      }),
    );
  });

  it('in a batch is its own movement, not that of its place in the batch', () => {
    const size: ImageShape = [3, 8, 8];
    const split = {
      images: Uint8Array.from({ length: 5 * 192 }, (_, i) => (i * 13) % 256),
      labels: new Uint8Array(5),
      count: 5,
    };
    const augmented = { shape: size, flip: true, padding: 2, key: keyOf(5), epoch: 4 };
    const whole = assembleBatch(split, [0, 1, 2, 3, 4], undefined, augmented).images;
    const single = assembleBatch(split, [3], undefined, augmented).images;
    expect([...single]).toEqual([...whole.subarray(3 * 192, 4 * 192)]);
    const plain = assembleBatch(split, [0, 1, 2, 3, 4]).images;
    expect([...whole]).not.toEqual([...plain]);
    expect([...whole].every((pixel) => plain.includes(pixel))).toBe(true);
  });
});
