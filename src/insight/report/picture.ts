/** Images of a data set as pictures within a page: PNG as a data URI. */
import { encode } from 'fast-png';
import type { ImageShape } from '../../data/dataset.js';

const base64 = (png: Uint8Array): string =>
  btoa(Array.from(png, (byte) => String.fromCharCode(byte)).join(''));

/**
 * A picture of an image.
 * @param pixels [channels, height, width] in [0, 1]; what is outside is cut off
 */
export function pictureOf(pixels: ArrayLike<number>, [channels, height, width]: ImageShape): string {
  const shown = channels === 3 ? 3 : 1;
  const data = new Uint8Array(height * width * shown);
  for (let i = 0; i < height * width; i++)
    for (let c = 0; c < shown; c++) {
      const value = pixels[c * height * width + i] as number;
      data[i * shown + c] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
  return `data:image/png;base64,${base64(encode({ width, height, data, channels: shown, depth: 8 }))}`;
}

/** x' − x on grey: ½ + (x' − x)/(2ε), so that a change by ε is white or black. */
export const differenceOf = (
  image: ArrayLike<number>,
  changed: ArrayLike<number>,
  epsilon: number,
): Float32Array =>
  Float32Array.from(image, (value, i) => 0.5 + ((changed[i] as number) - value) / (2 * epsilon));
