/**
 * Two-dimensional convolution, y = W ∗ x + b with W [out, in, kernel height, kernel width], on [features,
 * batch].
 *
 * Forward: im2col as gathers of whole rows, then matrix products. The adjoint: matrix products and, for each
 * tap that an input pixel can meet, one gather; their sum (`convolution-product.ts`). Both use documented
 * operators only and run in float32 and float64 alike.
 */
import type { Tensor } from '../../graph/index.js';
import { convolutionProduct } from './convolution-product.js';
import { kernelLayer } from './kernel-layer.js';
import type { AffineLayer, Extents, Window } from './layer.js';

/** Channels, window, stride and padding of a convolution; pairs are [height, width]. */
export interface ConvolutionGeometry {
  readonly channels: number;
  readonly kernel: readonly [number, number];
  readonly stride?: readonly [number, number];
  /** Zeros above, left, below and right of the input. */
  readonly padding?: readonly [top: number, left: number, bottom: number, right: number];
}

/** Places of the output; `kernel` is what a kernel reaches over. */
export function convolutionPlaces(
  input: Extents,
  { kernel, stride = [1, 1], padding = [0, 0, 0, 0] }: Omit<ConvolutionGeometry, 'channels'>,
): [number, number] {
  const [top, left, bottom, right] = padding;
  const rows = Math.floor((input[1] + top + bottom - kernel[0]) / stride[0]) + 1;
  const columns = Math.floor((input[2] + left + right - kernel[1]) / stride[1]) + 1;
  if (rows < 1 || columns < 1)
    throw new RangeError(
      `convolution: a kernel of ${kernel.join('×')} does not fit an input of ${input.join('×')} with ` +
        `padding ${padding.join(',')}`,
    );
  return [rows, columns];
}

/** Convolution of [C, H, W] with weight [filters, C, kernel, kernel] and one bias a filter. */
export function convolutionLayer(input: Extents, geometry: ConvolutionGeometry): AffineLayer {
  const { channels, kernel, stride = [1, 1], padding = [0, 0, 0, 0] } = geometry;
  const window: Window = { kernel, stride, padding: [padding[0], padding[1]] };
  const fanIn = input[0] * kernel[0] * kernel[1];
  const output: Extents = [channels, ...convolutionPlaces(input, geometry)];
  const product = convolutionProduct({ input, output, window });
  const shape = { name: 'convolution', input, output, weight: [channels, input[0], ...kernel], fanIn };
  return {
    ...kernelLayer(shape, product),
    window,
    apply: ({ weight, bias }, x) => product.linear(weight as Tensor, x, bias),
  };
}
