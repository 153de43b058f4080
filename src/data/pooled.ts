/**
 * Smaller images: squares of F × F pixels become one, their largest or their mean, channel by channel. The
 * pooled images are the data set, so ε is a radius around them.
 */
import {
  allocateImages,
  type Dataset,
  type DatasetDescription,
  type ImageShape,
  type Split,
} from './dataset.js';

export const POOLINGS = ['max', 'mean'] as const;

export interface Pooling {
  /** Pixels along a side of a square. */
  readonly factor: number;
  readonly kind: (typeof POOLINGS)[number];
}

const FORM = /^([1-9]\d?) (max|mean)$/;

/** The pooling that "2 max" stands for; undefined for any other text. */
export function poolingFrom(text: string): Pooling | undefined {
  const match = FORM.exec(text.trim().replace(/\s+/g, ' '));
  return match === null ? undefined : { factor: Number(match[1]), kind: match[2] as Pooling['kind'] };
}

/**
 * What is known of a data set whose images are pooled. Mean and deviation stay those of the whole images:
 * they are constants of the network's first layer, not statistics.
 * @throws RangeError for images that squares of this size do not cover
 */
export function pooledDescription<Known extends DatasetDescription>(known: Known, pooling?: Pooling): Known {
  if (pooling === undefined) return known;
  const { factor, kind } = pooling;
  const [channels, height, width] = known.shape;
  if (height % factor !== 0 || width % factor !== 0)
    throw new RangeError(
      `expected a number that divides ${height} and ${width}, the sides of the images of ${known.name}`,
    );
  const shape: ImageShape = [channels, height / factor, width / factor];
  return { ...known, name: `${known.name}, ${factor}×${factor} ${kind}-pooled`, shape };
}

/** The data set of pooled images; means are rounded to bytes. @throws RangeError as `pooledDescription` */
export function pooledDataset(dataset: Dataset, pooling?: Pooling): Dataset {
  if (pooling === undefined) return dataset;
  const pooled = pooledDescription(dataset, pooling);
  const split = (whole: Split): Split => ({ ...whole, images: pooledImages(whole, dataset.shape, pooling) });
  return { ...pooled, train: split(dataset.train), test: split(dataset.test) };
}

function pooledImages({ images, count }: Split, shape: ImageShape, { factor, kind }: Pooling): Uint8Array {
  const [channels, height, width] = shape;
  const small: ImageShape = [channels, height / factor, width / factor];
  const out = allocateImages(count, small);
  let next = 0;
  for (let plane = 0; plane < count * channels; plane++)
    for (let row = 0; row < height; row += factor)
      for (let column = 0; column < width; column += factor) {
        const first = (plane * height + row) * width + column;
        out[next++] = squareOf(images, first, width, factor, kind);
      }
  return out;
}

function squareOf(
  images: Uint8Array,
  first: number,
  width: number,
  factor: number,
  kind: Pooling['kind'],
): number {
  let [sum, largest] = [0, 0];
  for (let row = 0; row < factor; row++)
    for (let column = 0; column < factor; column++) {
      const pixel = images[first + row * width + column] as number;
      sum += pixel;
      largest = Math.max(largest, pixel);
    }
  return kind === 'max' ? largest : Math.round(sum / factor ** 2);
}
