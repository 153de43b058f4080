/**
 * What a data set is: images as bytes, labels, and the constants that the field normalises with.
 *
 * Pixels stay unsigned bytes in memory (MNIST: 55 MB rather than 220 MB) and become floats batch by batch.
 * Normalisation is the network's first layer, never done here: ε is in pixel units of [0, 1].
 */
import { sharedBuffer } from '../runtime/shared-memory.js';
import { DataError } from './data-error.js';
import type { DownloadProgress } from './fetch/download.js';

/** Channels, height, width; an image has features = C·H·W values in this order. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** Images and labels, for training or for testing. */
export interface Split {
  /** [count, features] row-major, one image a row, 0 … 255. */
  readonly images: Uint8Array;
  /** [count], 0 … classes − 1. */
  readonly labels: Uint8Array | Int32Array;
  readonly count: number;
}

/** What is known of a data set without reading it. */
export interface DatasetDescription {
  readonly name: string;
  readonly classes: number;
  readonly shape: ImageShape;
  /** Mean of the training pixels in [0, 1] per channel, as the field uses it. */
  readonly mean: readonly number[];
  /** Standard deviation of the training pixels in [0, 1] per channel, as the field uses it. */
  readonly std: readonly number[];
}

/** A data set in memory. */
export interface Dataset extends DatasetDescription {
  readonly train: Split;
  readonly test: Split;
}

/** Where a data set is looked for, and whether it may be downloaded. */
export interface DataOptions {
  /** A folder that holds the data set's files; nothing else is looked at then. */
  readonly dataDir?: string;
  /** Where downloads are kept; `cacheDirectory()` unless given. */
  readonly cacheDir?: string;
  /** Never download. */
  readonly offline?: boolean;
  /** Told now and then how far a download has come. */
  readonly progress?: (state: DownloadProgress) => void;
  /** Ends a download; what it has brought is kept for the next. */
  readonly signal?: AbortSignal;
}

/** What fetching takes of the options. */
export type FetchOptions = Pick<DataOptions, 'cacheDir' | 'progress' | 'signal'>;

/** A data set by name: its description, and how to get it. */
export interface DatasetSource extends DatasetDescription {
  /** What the user's folder must hold, in words: "train_32x32.mat and test_32x32.mat". */
  readonly folderHolds: string;
  /**
   * Reads the data set from wherever it is found first, downloading it if it is nowhere; every file is
   * verified.
   */
  load(options?: DataOptions): Promise<Dataset>;
  /** Puts verified files into the cache unless they are there already; returns their folder. */
  fetch(options?: FetchOptions): Promise<string>;
}

/**
 * Memory for `count` images of `shape`, shared so that a thread that prepares batches sees it without a copy.
 */
export const allocateImages = (count: number, shape: ImageShape): Uint8Array =>
  new Uint8Array(sharedBuffer(count * featuresOf(shape)));

export const featuresOf = ([channels, height, width]: ImageShape): number => channels * height * width;

/**
 * Checks that a split fits its data set: as many images as labels, labels in 0 … classes − 1.
 * @param source what errors call the split, such as "mnist test set"
 * @throws DataError naming the first label that is out of range and its index
 */
export function checkSplit(
  { images, labels, count }: Split,
  { classes, shape }: Pick<DatasetDescription, 'classes' | 'shape'>,
  source: string,
): void {
  if (labels.length !== count)
    throw new DataError(`${source}: expected ${count} labels, one per image, got ${labels.length}`);
  if (images.length !== count * featuresOf(shape)) {
    throw new DataError(
      `${source}: expected ${count} images of shape [${shape.join(',')}], ${count * featuresOf(shape)} ` +
        `bytes, got ${images.length} bytes`,
    );
  }
  const index = labels.findIndex((label: number) => label < 0 || label >= classes);
  if (index !== -1)
    throw new DataError(
      `${source}: expected labels from 0 to ${classes - 1}, got ${labels[index]} at index ${index}`,
    );
}
