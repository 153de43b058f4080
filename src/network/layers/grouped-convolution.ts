/**
 * Convolution in groups of channels, with dilated kernels: y = W ∗ x + b, W [out, in/groups, kernel height,
 * kernel width] (depthwise with as many groups as channels). Bounds carry its rows back densely: its
 * receptive fields are not windows of all channels.
 */
import { type ConvolutionGeometry, convolutionPlaces } from './convolution.js';
import { groupedProduct } from './grouped-product.js';
import { kernelLayer } from './kernel-layer.js';
import type { AffineLayer, Extents } from './layer.js';

export interface GroupedGeometry extends ConvolutionGeometry {
  readonly groups?: number;
  /** Distance of neighbouring taps. */
  readonly dilation?: readonly [vertical: number, horizontal: number];
}

export function groupedConvolutionLayer(input: Extents, geometry: GroupedGeometry): AffineLayer {
  const {
    channels,
    kernel,
    groups = 1,
    dilation = [1, 1],
    stride = [1, 1],
    padding = [0, 0, 0, 0],
  } = geometry;
  if (input[0] % groups !== 0 || channels % groups !== 0)
    throw new RangeError(
      `convolution: expected ${groups} groups to divide ${input[0]} input and ${channels} output channels`,
    );
  const reach = [(kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1] as const;
  const output: Extents = [channels, ...convolutionPlaces(input, { ...geometry, kernel: reach })];
  const window = { kernel, stride, padding: [padding[0], padding[1]] } as const;
  const product = groupedProduct({ input, output, window, groups, dilation });
  const fanIn = (input[0] / groups) * kernel[0] * kernel[1];
  return kernelLayer(
    { name: 'grouped-convolution', input, output, weight: [channels, input[0] / groups, ...kernel], fanIn },
    product,
  );
}
