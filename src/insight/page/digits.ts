/** Digits that the page brings, some thousand of MNIST's: the labels of all, then the images. */
import type { Split } from '../../data/dataset.js';
import { FormatError } from '../../formats/format-error.js';

/** MNIST, as far as a network has to know it. */
export const DIGITS = {
  name: 'MNIST',
  shape: [1, 28, 28],
  classes: 10,
  mean: [0.1307],
  std: [0.3081],
} as const;
export const PIXELS = 28 * 28;
/** Digits of the file that are trained on; the others are the test set's first. */
export const TRAINED_ON = 2000;

export interface Digits {
  readonly train: Split;
  readonly test: Split;
}

/** One image after the other, labels in front. */
export function packDigits({ train, test }: Digits): Uint8Array {
  return Uint8Array.from([...train.labels, ...test.labels, ...train.images, ...test.images]);
}

/** @throws FormatError for bytes that are no packed digits */
export function unpackDigits(bytes: Uint8Array): Digits {
  const count = bytes.length / (1 + PIXELS);
  if (!Number.isInteger(count) || count <= TRAINED_ON)
    throw new FormatError(
      `digits: expected more than ${TRAINED_ON} digits of ${1 + PIXELS} bytes, got ${bytes.length} bytes`,
    );
  const part = (from: number, to: number): Split => ({
    labels: bytes.subarray(from, to),
    images: bytes.subarray(count + from * PIXELS, count + to * PIXELS),
    count: to - from,
  });
  return { train: part(0, TRAINED_ON), test: part(TRAINED_ON, count) };
}
