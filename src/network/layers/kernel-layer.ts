/**
 * What convolutions of all kinds share: a kernel W whose two maps differ, and one bias for each channel of
 * the output.
 */
import { abs, add, broadcastTo, reshape, type Tensor } from '../../graph/index.js';
import type { AffineLayer, Extents } from './layer.js';

export interface KernelShape {
  readonly name: string;
  readonly input: Extents;
  readonly output: Extents;
  /** [channels, channels that one of them is connected with, kernel height, kernel width]. */
  readonly weight: readonly number[];
  /** Inputs that one output sums over. */
  readonly fanIn: number;
}

/** L x and Lᵀ a for the L of a kernel, on [features, n]. */
export interface KernelMaps {
  linear(weight: Tensor, x: Tensor): Tensor;
  adjoint(weight: Tensor, a: Tensor): Tensor;
}

/** y = L x + b. */
export function kernelLayer(
  { name, input, output, weight: shape, fanIn }: KernelShape,
  maps: KernelMaps,
): AffineLayer {
  const linear = (weight: Tensor | undefined, x: Tensor) => maps.linear(weight as Tensor, x);
  return {
    kind: 'affine',
    name,
    input,
    output,
    parameters: [
      { name: 'weight', shape, fanIn },
      { name: 'bias', shape: [output[0]], fanIn },
    ],
    apply: ({ weight, bias }, x) =>
      bias ? add(linear(weight, x), channelBias(bias, output)) : linear(weight, x),
    linear: ({ weight }, x) => linear(weight, x),
    adjoint: ({ weight }, a) => maps.adjoint(weight as Tensor, a),
    absolute: ({ weight }) => ({ weight: abs(weight as Tensor) }),
    bias: ({ bias }) => bias && channelBias(bias, output),
  };
}

/** One bias per channel as a column, [features, 1]. */
function channelBias(bias: Tensor, [channels, rows, columns]: Extents): Tensor {
  const places = rows * columns;
  return reshape(broadcastTo(reshape(bias, [channels, 1]), [channels, places]), [channels * places, 1]);
}
