import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dataset } from './dataset.js';
import { type Pooling, pooledDataset, pooledDescription, poolingFrom } from './pooled.js';

const dataset = (images: Uint8Array, shape: Dataset['shape']): Dataset => {
  const count = images.length / (shape[0] * shape[1] * shape[2]);
  const split = { images, labels: new Uint8Array(count), count };
  return { name: 'tiny', classes: 2, shape, mean: [0.5], std: [0.2], train: split, test: split };
};

describe('pooled images', () => {
  it('are the largest or the mean of squares, by hand', () => {
    const whole = dataset(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255), [1, 4, 4]);
    const max = pooledDataset(whole, { factor: 2, kind: 'max' });
    expect([...max.train.images]).toEqual([6, 8, 14, 255]);
    expect([...pooledDataset(whole, { factor: 2, kind: 'mean' }).test.images]).toEqual([4, 6, 12, 73]);
    expect(max).toMatchObject({ name: 'tiny, 2×2 max-pooled', shape: [1, 2, 2], classes: 2, mean: [0.5] });
  });

  it('are, pixel by pixel, what their squares hold, in every channel of every image', () => {
    const cases = fc.record({
      factor: fc.integer({ min: 1, max: 3 }),
      rows: fc.integer({ min: 1, max: 3 }),
      columns: fc.integer({ min: 1, max: 3 }),
      channels: fc.integer({ min: 1, max: 2 }),
      seed: fc.infiniteStream(fc.integer({ min: 0, max: 255 })),
      kind: fc.constantFrom('max' as const, 'mean' as const),
    });
    fc.assert(
      fc.property(cases, ({ factor, rows, columns, channels, seed, kind }) => {
        const shape = [channels, rows * factor, columns * factor] as const;
        const size = 2 * shape[0] * shape[1] * shape[2];
        const images = Uint8Array.from({ length: size }, () => seed.next().value as number);
        const small = pooledDataset(dataset(images, shape), { factor, kind }).train.images;
        const at = (plane: number, row: number, column: number) =>
          images[(plane * shape[1] + row) * shape[2] + column] as number;
        let next = 0;
        for (let plane = 0; plane < 2 * channels; plane++)
          for (let row = 0; row < rows; row++)
            for (let column = 0; column < columns; column++) {
              const square = Array.from({ length: factor ** 2 }, (_, i) =>
                at(plane, row * factor + Math.floor(i / factor), column * factor + (i % factor)),
              );
              const mean = Math.round(square.reduce((a, b) => a + b, 0) / factor ** 2);
              expect(small[next++]).toBe(kind === 'max' ? Math.max(...square) : mean);
            }
        expect(next).toBe(small.length);
      }),
    );
  });

  it('are asked for in words', () => {
    expect(poolingFrom('2 max')).toEqual({ factor: 2, kind: 'max' } satisfies Pooling);
    expect(poolingFrom(' 7  mean ')).toEqual({ factor: 7, kind: 'mean' } satisfies Pooling);
    for (const text of ['2', '0 max', '2 median', 'max 2', '-2 max', '2.5 max'])
      expect(poolingFrom(text)).toBeUndefined();
  });

  it('are refused where squares do not cover the image', () => {
    const odd = dataset(new Uint8Array(12), [1, 4, 3]);
    expect(() => pooledDescription(odd, { factor: 2, kind: 'max' })).toThrow(
      'expected a number that divides 4 and 3, the sides of the images of tiny',
    );
  });
});
