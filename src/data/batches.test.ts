import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOf } from '../runtime/random/keys.js';
import { allocateBatch, assembleBatch, epochBatches } from './batches.js';
import { DataError } from './data-error.js';
import type { Split } from './dataset.js';

const key = fc.integer().map(keyOf);
const count = fc.integer({ min: 1, max: 300 });
const batchSize = fc.integer({ min: 1, max: 320 });
const epoch = fc.nat({ max: 1000 });

/** A split whose pixels tell which image and which place they come from. */
function splitOf(images: number, features: number): Split {
  const pixels = Uint8Array.from(
    { length: images * features },
    (_, i) => (i * 37 + Math.floor(i / features)) % 256,
  );
  return {
    images: pixels,
    labels: Uint8Array.from({ length: images }, (_, i) => (i * 7) % 10),
    count: images,
  };
}

describe('the batches of an epoch', () => {
  it('visit every image exactly once, in batches of the size asked, only the last one smaller', () => {
    fc.assert(
      fc.property(count, batchSize, key, epoch, (images, size, k, e) => {
        const batches = epochBatches({ count: images, batchSize: size, key: k, epoch: e });
        const visited = batches.flatMap((batch) => [...batch]);
        expect(visited.toSorted((a, b) => a - b)).toEqual(Array.from({ length: images }, (_, i) => i));
        expect(batches.slice(0, -1).every((batch) => batch.length === size)).toBe(true);
        expect(batches.at(-1)?.length).toBe(images % size || size);
      }),
    );
  });

  it('are the same whole batches when the smaller last one is dropped', () => {
    fc.assert(
      fc.property(count, batchSize, key, epoch, (images, size, k, e) => {
        fc.pre(size <= images);
        const options = { count: images, batchSize: size, key: k, epoch: e };
        const whole = epochBatches({ ...options, dropLast: true });
        expect(whole.length).toBe(Math.floor(images / size));
        expect(whole).toEqual(epochBatches(options).slice(0, whole.length));
      }),
    );
  });

  it('come again with the same key and epoch, and in another order with any other', () => {
    fc.assert(
      fc.property(key, epoch, (k, e) => {
        const options = { count: 100, batchSize: 100, key: k, epoch: e };
        const order = epochBatches(options);
        expect(epochBatches(options)).toEqual(order);
        expect(epochBatches({ ...options, epoch: e + 1 })).not.toEqual(order);
        expect(epochBatches({ ...options, key: [k[0] ^ 1, k[1]] })).not.toEqual(order);
      }),
    );
  });

  it('refuse counts, sizes and epochs that are none', () => {
    const options = { count: 10, batchSize: 4, key: keyOf(1), epoch: 0 };
    expect(() => epochBatches({ ...options, count: 0 })).toThrow('expected at least 1 image, got 0');
    expect(() => epochBatches({ ...options, batchSize: 2.5 })).toThrow(
      'expected a batch size of at least 1, got 2.5',
    );
    expect(() => epochBatches({ ...options, epoch: -1 })).toThrow('expected an epoch of at least 0, got -1');
    expect(() => epochBatches({ ...options, batchSize: 11, dropLast: true })).toThrow(
      'expected at least one whole batch of 11, got 10 images',
    );
  });
});

describe('a batch', () => {
  const indices = fc.array(fc.nat({ max: 19 }), { maxLength: 30 });

  it('holds byte/255 of the images and the labels asked for, in that order', () => {
    const split = splitOf(20, 12);
    fc.assert(
      fc.property(indices, (asked) => {
        const { images, labels } = assembleBatch(split, asked);
        expect([...labels]).toEqual(asked.map((index) => (index * 7) % 10));
        expect([...images]).toEqual(
          asked.flatMap((index) =>
            [...split.images.subarray(index * 12, index * 12 + 12)].map((byte) => Math.fround(byte / 255)),
          ),
        );
      }),
    );
  });

  it('fills the memory given, shared between threads or not, and returns views of what it filled', () => {
    const split = splitOf(20, 12);
    fc.assert(
      fc.property(indices, fc.boolean(), (asked, shared) => {
        const out = allocateBatch(30, 12, { shared });
        const batch = assembleBatch(split, asked, out);
        expect(batch.images.buffer).toBe(out.images.buffer);
        expect(out.images.buffer instanceof SharedArrayBuffer).toBe(shared);
        expect(batch).toEqual(assembleBatch(split, asked));
        expect([...out.images.subarray(asked.length * 12)].every((pixel) => pixel === 0)).toBe(true);
      }),
    );
  });

  it('spans exactly 0 to 1', () => {
    const { images } = assembleBatch(
      { images: Uint8Array.of(0, 255), labels: Uint8Array.of(3), count: 1 },
      [0],
    );
    expect([...images]).toEqual([0, 1]);
  });

  it('refuses indices outside the split and memory that is too small', () => {
    expect(() => assembleBatch(splitOf(4, 2), [0, 4])).toThrow(
      'expected indices from 0 to 3, got 4 at position 1',
    );
    expect(() => assembleBatch(splitOf(4, 2), [-1])).toThrow(DataError);
    expect(() => assembleBatch(splitOf(4, 2), [0, 1], allocateBatch(1, 2))).toThrow(
      'expected room for 2 images of 2 pixels, got 2 pixels and 1 labels',
    );
  });
});
