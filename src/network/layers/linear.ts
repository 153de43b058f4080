/** Fully connected layer: y = W x + b with W [out, in]. */
import { abs, gemm, gemmAdd, reshape, type Tensor } from '../../graph/index.js';
import { type AffineLayer, type Extents, featuresOf } from './layer.js';

/** Fully connected layer, y = W x + b, W [outputs, features]. */
export function linearLayer(input: Extents, outputs: number): AffineLayer {
  const inputs = featuresOf(input);
  return {
    kind: 'affine',
    name: 'linear',
    input,
    output: [outputs, 1, 1],
    parameters: [
      { name: 'weight', shape: [outputs, inputs], fanIn: inputs },
      { name: 'bias', shape: [outputs], fanIn: inputs },
    ],
    apply: ({ weight, bias }, x) =>
      bias ? gemmAdd(weight as Tensor, x, reshape(bias, [outputs, 1])) : gemm(weight as Tensor, x),
    linear: ({ weight }, x) => gemm(weight as Tensor, x),
    adjoint: ({ weight }, a) => gemm(weight as Tensor, a, true),
    absolute: ({ weight }) => ({ weight: abs(weight as Tensor) }),
    bias: ({ bias }) => bias && reshape(bias, [outputs, 1]),
  };
}
