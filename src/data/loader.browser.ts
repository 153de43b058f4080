/** `loader.ts` without threads: batches are made where they are asked for, a page's worker. */
import { allocateBatch, assembleBatch, type Batch } from './batches.js';
import type { Loader, LoaderOptions } from './loader.js';

/** Makes batches in the calling thread, in two places in turn. */
export function createLoader({ split, batchSize, augmentation, key }: LoaderOptions): Loader {
  const features = split.images.length / split.count;
  const places = [0, 1].map(() => allocateBatch(batchSize, features));
  let requests = 0;
  return {
    async request(indices, epoch) {
      const place = places[requests++ % 2] as Batch;
      return assembleBatch(split, indices, place, augmentation && { ...augmentation, key, epoch });
    },
    async close() {},
  };
}
