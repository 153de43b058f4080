/**
 * Validation images: a part of the training set held out for choosing settings, so that the test set is
 * looked at once.
 */
import { type Key, permutation } from '../runtime/random/keys.js';
import { DataError } from './data-error.js';
import type { Split } from './dataset.js';

/**
 * Holds out `size` images of the training set: the last ones of its random order under `key`. With one key, a
 * larger validation set contains every smaller one. Both parts are copies, in that order.
 * @throws DataError unless both parts are left with at least one image
 */
export function splitValidation(train: Split, size: number, key: Key): { train: Split; validation: Split } {
  if (!Number.isInteger(size) || size < 1 || size >= train.count) {
    throw new DataError(
      `splitValidation: expected to hold out between 1 and ${train.count - 1} of ${train.count} training ` +
        `images, got ${size}`,
    );
  }
  const order = permutation(key, train.count);
  const kept = train.count - size;
  return { train: select(train, order.subarray(0, kept)), validation: select(train, order.subarray(kept)) };
}

/** The images of the given indices, in their order. */
function select(split: Split, indices: Uint32Array): Split {
  const features = split.images.length / split.count;
  const images = new Uint8Array(indices.length * features);
  const labels =
    split.labels instanceof Int32Array ? new Int32Array(indices.length) : new Uint8Array(indices.length);
  indices.forEach((index, row) => {
    images.set(split.images.subarray(index * features, (index + 1) * features), row * features);
    labels[row] = split.labels[index] as number;
  });
  return { images, labels, count: indices.length };
}
