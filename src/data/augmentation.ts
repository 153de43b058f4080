/**
 * Augmentation of training images: mirrored left to right with probability ½; padded by p pixels that repeat
 * the edge, and cropped back at a random place. Both only move pixels, so an image stays bytes and the ball
 * around it means the same.
 *
 * What happens to an image is a function of (key, epoch, image) alone: batches can be prepared anywhere, in
 * any order and again.
 */
import { deriveKey, type Key } from '../runtime/random/keys.js';
import type { ImageShape } from './dataset.js';

/** A random change of training images, drawn anew for each image and epoch. */
export interface Augmentation {
  readonly shape: ImageShape;
  readonly flip: boolean;
  /** p, in pixels; 0: no crop. */
  readonly padding: number;
}

/**
 * Random changes of training images: mirrored left to right; moved by up to a sixteenth of the width, edges
 * repeated.
 */
export const AUGMENTATIONS = ['none', 'flip', 'crop', 'flip-crop'] as const;
export type AugmentationName = (typeof AUGMENTATIONS)[number];

/**
 * Augmentations by name; the padding is a sixteenth of the width: 2 pixels of 32, 4 of 64. Undefined for
 * none.
 */
export function augmentationNamed(name: AugmentationName, shape: ImageShape): Augmentation | undefined {
  if (name === 'none') return undefined;
  return { shape, flip: name !== 'crop', padding: name === 'flip' ? 0 : Math.round(shape[2] / 16) };
}

/**
 * How one image is changed: pixel (y, x) of the result is pixel (y + dy, x′ + dx) of the image, x′ = W − 1 −
 * x if flipped, moved into the image.
 */
export interface Movement {
  readonly flip: boolean;
  readonly dx: number;
  readonly dy: number;
}

/**
 * The movement of an image in an epoch: uniform over both reflections and the (2p + 1)² places, by at most
 * one part in 2²⁵.
 */
export function movementOf(
  { flip, padding }: Augmentation,
  key: Key,
  epoch: number,
  image: number,
): Movement {
  // The two words of a derived key are as random as draws under it, and nothing else is drawn from it.
  const [first, second] = deriveKey(key, epoch, image);
  const places = 2 * padding + 1;
  const place = Math.floor((second / 2 ** 32) * places * places);
  return {
    flip: flip && (first & 1) === 1,
    dx: (place % places) - padding,
    dy: Math.floor(place / places) - padding,
  };
}

/**
 * Writes one moved image as floats, [C, H, W].
 * @param floats the float of each byte, 256 entries
 */
export function writeMoved(
  bytes: Uint8Array,
  from: number,
  [channels, height, width]: ImageShape,
  { flip, dx, dy }: Movement,
  floats: Float32Array,
  out: Float32Array,
  to: number,
): void {
  const last = width - 1;
  const inside = (place: number, end: number): number => Math.min(Math.max(place, 0), end);
  for (let channel = 0, target = to; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      const row = from + (channel * height + inside(y + dy, height - 1)) * width;
      for (let x = 0; x < width; x++, target++) {
        out[target] = floats[bytes[row + inside((flip ? last - x : x) + dx, last)] as number] as number;
      }
    }
  }
}
