/**
 * Transposed convolution: y = (W ∗ ·)ᵀ x + b with W [in, out/groups, kernel height, kernel width], the
 * adjoint of the convolution from its output to its input (Zeiler et al. 2010); b has one value per output
 * channel.
 */
import { convolutionProduct } from './convolution-product.js';
import type { GroupedGeometry } from './grouped-convolution.js';
import { groupedProduct } from './grouped-product.js';
import { kernelLayer } from './kernel-layer.js';
import type { AffineLayer, Extents } from './layer.js';

/**
 * Of the transposed convolution: `channels` are those of its output, `padding` what is cut off the output's
 * borders.
 */
export interface TransposedGeometry extends GroupedGeometry {
  /** Rows and columns added below and right of the output (default none). */
  readonly outputPadding?: readonly [bottom: number, right: number];
}

export function transposedConvolutionLayer(input: Extents, geometry: TransposedGeometry): AffineLayer {
  const {
    channels,
    kernel,
    groups = 1,
    dilation = [1, 1],
    stride = [1, 1],
    padding = [0, 0, 0, 0],
    outputPadding = [0, 0],
  } = geometry;
  if (input[0] % groups !== 0 || channels % groups !== 0)
    throw new RangeError(
      `transposed convolution: expected ${groups} groups to divide ${input[0]} input and ${channels} ` +
        'output channels',
    );
  const extent = (axis: 0 | 1) =>
    ((input[axis + 1] as number) - 1) * stride[axis] +
    (kernel[axis] - 1) * dilation[axis] +
    1 +
    outputPadding[axis] -
    padding[axis] -
    (padding[axis + 2] as number);
  const output: Extents = [channels, extent(0), extent(1)];
  if (output[1] < 1 || output[2] < 1)
    throw new RangeError(
      `transposed convolution: padding ${padding.join(',')} leaves nothing of an output of ` +
        `${output.join('×')}`,
    );
  // The convolution whose adjoint this is goes from y to x; its output has the extents of x, whatever its
  // strides leave over.
  const shape = {
    input: output,
    output: input,
    window: { kernel, stride, padding: [padding[0], padding[1]] },
  } as const;
  const plain = groups === 1 && dilation[0] === 1 && dilation[1] === 1;
  const product = plain ? convolutionProduct(shape) : groupedProduct({ ...shape, groups, dilation });
  const fanIn = (input[0] / groups) * kernel[0] * kernel[1];
  const weight = [input[0], channels / groups, ...kernel];
  return kernelLayer(
    { name: 'transposed-convolution', input, output, weight, fanIn },
    { linear: product.adjoint, adjoint: product.linear },
  );
}
