import { afterEach, describe, expect, it } from 'vitest';
import { keyOf } from '../runtime/random/keys.js';
import { assembleBatch } from './batches.js';
import * as browser from './loader.browser.js';
import { createLoader, type Loader } from './loader.js';

const shape = [3, 8, 8] as const;
const split = {
  images: Uint8Array.from({ length: 40 * 192 }, (_, i) => (i * 7) % 256),
  labels: Uint8Array.from({ length: 40 }, (_, i) => i % 10),
  count: 40,
};
const augmentation = { shape, flip: true, padding: 2 };
const key = keyOf(3);

let loader: Loader;
afterEach(() => loader.close());

describe('the thread that prepares batches', () => {
  it.each([undefined, augmentation])(
    'gives the very batches that the calling thread would make, one requested ahead (augmentation %j)',
    async (changes) => {
      loader = createLoader({ split, batchSize: 6, augmentation: changes, key });
      const order = Uint32Array.from({ length: 40 }, (_, i) => (i * 17) % 40);
      const batches = Array.from({ length: 7 }, (_, i) => order.subarray(6 * i, 6 * i + 6));
      let coming = loader.request(batches[0] as Uint32Array, 2);
      for (let i = 0; i < batches.length; i++) {
        const batch = await coming;
        if (i + 1 < batches.length) coming = loader.request(batches[i + 1] as Uint32Array, 2);
        await new Promise((resolve) => setTimeout(resolve, 5));
        expect(batch).toEqual(
          assembleBatch(
            split,
            batches[i] as Uint32Array,
            undefined,
            changes && { ...changes, key, epoch: 2 },
          ),
        );
      }
    },
  );

  it('says what is wrong with a request, and goes on', async () => {
    loader = createLoader({ split, batchSize: 6, key });
    await expect(loader.request(Uint32Array.of(40), 0)).rejects.toThrow(
      'expected indices from 0 to 39, got 40 at position 0',
    );
    expect([...(await loader.request(Uint32Array.of(39), 0)).labels]).toEqual([9]);
  });

  it('leaves nobody waiting when it is closed', async () => {
    loader = createLoader({ split, batchSize: 6, key });
    const coming = loader.request(Uint32Array.of(1), 0);
    await Promise.all([loader.close(), coming.catch(() => undefined)]);
    await expect(loader.request(Uint32Array.of(1), 0)).rejects.toThrow('has ended');
  });
});

describe('batches without a thread', () => {
  it.each([undefined, augmentation])('are those of the thread (augmentation %j)', async (changes) => {
    const options = { split, batchSize: 6, augmentation: changes, key };
    loader = createLoader(options);
    const here = browser.createLoader(options);
    for (const indices of [Uint32Array.of(39, 1, 7), Uint32Array.of(5, 5, 0, 2, 3, 38)])
      expect(await here.request(indices, 1)).toEqual(await loader.request(indices, 1));
    await expect(here.request(Uint32Array.of(40), 0)).rejects.toThrow('got 40 at position 0');
  });
});
