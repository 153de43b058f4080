/**
 * Batches: in which order an epoch visits the images, and the floats that a step consumes.
 *
 * Order and content are apart: index arrays are small and can be sent to workers, which assemble their own
 * share. The order is a pure function of a key and the epoch, so a run that is resumed in the middle sees the
 * same batches.
 */

import { deriveKey, type Key, permutation } from '../runtime/random/keys.js';
import { sharedBuffer } from '../runtime/shared-memory.js';
import { type Augmentation, movementOf, writeMoved } from './augmentation.js';
import { DataError } from './data-error.js';
import type { Split } from './dataset.js';

/** What the batches of an epoch follow from: the same key and epoch give the same order of images. */
export interface EpochOptions {
  /** Images in the split. */
  readonly count: number;
  readonly batchSize: number;
  readonly key: Key;
  readonly epoch: number;
  /**
   * Leaves a last batch out that is smaller than batchSize (a compiled step has a fixed batch size); kept
   * unless told.
   */
  readonly dropLast?: boolean;
}

/**
 * The batches of one epoch: 0 … count − 1 in random order, without replacement, cut into runs of batchSize.
 * Every epoch has an order of its own, drawn from the key derived for it.
 * @throws RangeError for a count, batch size or epoch that is none, or where dropLast would leave nothing
 */
export function epochBatches({
  count,
  batchSize,
  key,
  epoch,
  dropLast = false,
}: EpochOptions): Uint32Array[] {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`epochBatches: expected at least 1 image, got ${count}`);
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new RangeError(`epochBatches: expected a batch size of at least 1, got ${batchSize}`);
  if (!Number.isInteger(epoch) || epoch < 0)
    throw new RangeError(`epochBatches: expected an epoch of at least 0, got ${epoch}`);
  if (dropLast && count < batchSize)
    throw new RangeError(
      `epochBatches: expected at least one whole batch of ${batchSize}, got ${count} images`,
    );
  const order = permutation(deriveKey(key, epoch, 0), count);
  const batches = dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize);
  return Array.from({ length: batches }, (_, batch) =>
    order.subarray(batch * batchSize, (batch + 1) * batchSize),
  );
}

/** Images and labels of one step, as an objective takes them. */
export interface Batch {
  /** [batch, features] row-major, one image a row, pixels in [0, 1]. */
  readonly images: Float32Array;
  /** [batch] */
  readonly labels: Int32Array;
}

/**
 * Room for `capacity` images of `features` pixels; `shared` puts it into memory that workers see without a
 * copy.
 */
export function allocateBatch(
  capacity: number,
  features: number,
  { shared = false }: { shared?: boolean } = {},
): Batch {
  const room = (bytes: number) => (shared ? sharedBuffer(bytes) : new ArrayBuffer(bytes));
  return {
    images: new Float32Array(room(4 * capacity * features)),
    labels: new Int32Array(room(4 * capacity)),
  };
}

/** pixel = byte/255, correctly rounded to float32. */
const PIXELS = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);

/** The random changes of a batch's images. */
export interface Augmented extends Augmentation {
  readonly key: Key;
  readonly epoch: number;
}

/**
 * Gathers images as floats, pixel = byte/255 ∈ [0, 1], and their labels, in the order of the indices.
 * @param out memory to fill (see allocateBatch), for as many images or more; views of its beginning are
 *  returned. Fresh memory unless given.
 * @param augmented how the images are changed at random; not at all unless given
 * @throws DataError for an index that is not in the split, or if `out` is too small
 */
export function assembleBatch(
  split: Split,
  indices: ArrayLike<number>,
  out?: Batch,
  augmented?: Augmented,
): Batch {
  const features = split.count === 0 ? 0 : split.images.length / split.count;
  const size = indices.length;
  const room = out ?? allocateBatch(size, features);
  if (room.labels.length < size || room.images.length < size * features) {
    throw new DataError(
      `assembleBatch: expected room for ${size} images of ${features} pixels, got ${room.images.length} ` +
        `pixels and ${room.labels.length} labels; allocate with allocateBatch`,
    );
  }
  const images = room.images.subarray(0, size * features);
  const labels = room.labels.subarray(0, size);
  for (let row = 0; row < size; row++) {
    const index = indices[row] as number;
    if (!Number.isInteger(index) || index < 0 || index >= split.count) {
      throw new DataError(
        `assembleBatch: expected indices from 0 to ${split.count - 1}, got ${index} at position ${row}`,
      );
    }
    labels[row] = split.labels[index] as number;
    const from = index * features;
    const to = row * features;
    if (augmented === undefined)
      for (let pixel = 0; pixel < features; pixel++)
        images[to + pixel] = PIXELS[split.images[from + pixel] as number] as number;
    else
      writeMoved(
        split.images,
        from,
        augmented.shape,
        movementOf(augmented, augmented.key, augmented.epoch, index),
        PIXELS,
        images,
        to,
      );
  }
  return { images, labels };
}
