/**
 * Mean and standard deviation of pixels per channel: what the first layer normalises with, and a fingerprint
 * of a data set.
 */
import { DataError } from './data-error.js';
import type { Dataset, ImageShape, Split } from './dataset.js';

export interface PixelStatistics {
  /** Per channel, in [0, 1]. */
  readonly mean: readonly number[];
  /** Per channel, over all pixels of all images, in [0, 1]. */
  readonly std: readonly number[];
}

/**
 * Exact sums of bytes, then mean = Σ b/(255 n) and std = √(Σ b²/(255² n) − mean²) over the n pixels of each
 * channel.
 */
export function pixelStatistics(
  { images, count }: Pick<Split, 'images' | 'count'>,
  [channels, height, width]: ImageShape,
): PixelStatistics {
  const area = height * width;
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  for (let image = 0, position = 0; image < count; image++) {
    for (let channel = 0; channel < channels; channel++, position += area) {
      let sum = 0;
      let square = 0;
      for (let pixel = position; pixel < position + area; pixel++) {
        const byte = images[pixel] as number;
        sum += byte;
        square += byte * byte;
      }
      sums[channel] = (sums[channel] as number) + sum;
      squares[channel] = (squares[channel] as number) + square;
    }
  }
  const mean = Array.from(sums, (sum) => sum / (count * area * 255));
  const std = Array.from(squares, (square, channel) =>
    Math.sqrt(Math.max(0, square / (count * area * 255 ** 2) - (mean[channel] as number) ** 2)),
  );
  return { mean, std };
}

/**
 * Checks that the training images have the published mean per channel: no pixel order, colour order or
 * missing part passes unseen.
 * @throws DataError with the expected and the actual means
 */
export function checkMeans(
  { name, train, shape, mean }: Pick<Dataset, 'name' | 'train' | 'shape' | 'mean'>,
  tolerance: number,
  remedy: string,
): void {
  const got = pixelStatistics(train, shape).mean;
  if (mean.every((value, channel) => Math.abs(value - (got[channel] as number)) <= tolerance)) return;
  const written = (values: readonly number[]) => values.map((value) => value.toFixed(4)).join(', ');
  throw new DataError(
    `${name} training set: expected channel means ${written(mean)} (to ${tolerance}), got ` +
      `${written(got)}; ${remedy}`,
  );
}
