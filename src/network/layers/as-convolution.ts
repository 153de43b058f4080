/** Affine layers as the kernels of `native/` compute them: as convolutions. */
import type { Convolution } from '../../runtime/kernels/convolution.js';
import { type AffineLayer, type Extents, featuresOf } from './layer.js';

/**
 * A layer that reads an image of extents `from`: of a linear layer the kernel is the whole image. Undefined
 * for one that the kernels do not know.
 */
export function asConvolution(
  { name, input, output, window }: AffineLayer,
  from: Extents,
): Convolution | undefined {
  if (name === 'linear' && featuresOf(input) === featuresOf(from))
    return { input: from, output, kernel: [from[1], from[2]], stride: [1, 1], padding: [0, 0] };
  const isKnown = name === 'convolution' && input.every((n, i) => n === from[i]);
  return isKnown && window !== undefined ? { input: from, output, ...window } : undefined;
}
