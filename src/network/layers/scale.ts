/**
 * Element-wise affine layer: y = w ∘ x + b, one w and one b per feature.
 *
 * What imported networks leave of batch normalisation and of arithmetic with constants where no neighbouring
 * layer can absorb it. Unlike `normalize`, w may have either sign, so its magnitude is taken where a
 * relaxation asks for |L|.
 */
import { abs, add, mul, reshape, type Tensor } from '../../graph/index.js';
import { type AffineLayer, type Extents, featuresOf } from './layer.js';

export function scaleLayer(extents: Extents): AffineLayer {
  const features = featuresOf(extents);
  const column = (t: Tensor | undefined) => reshape(t as Tensor, [features, 1]);
  return {
    kind: 'affine',
    separable: true,
    name: 'scale',
    input: extents,
    output: extents,
    parameters: [
      { name: 'weight', shape: [features], fanIn: 1 },
      { name: 'bias', shape: [features], fanIn: 1 },
    ],
    apply: ({ weight, bias }, x) =>
      bias ? add(mul(x, column(weight)), column(bias)) : mul(x, column(weight)),
    linear: ({ weight }, x) => mul(x, column(weight)),
    adjoint: ({ weight }, a) => mul(a, column(weight)),
    absolute: ({ weight }) => ({ weight: abs(weight as Tensor) }),
    bias: ({ bias }) => bias && column(bias),
  };
}
