/**
 * The data set's normalisation (x − mean)/std per channel, as a network's first layer: ε stays in pixels of
 * [0, 1].
 */
import { add, constant, type FloatType, mul, type Tensor } from '../../graph/index.js';
import { type AffineLayer, type Extents, featuresOf } from './layer.js';

/** x ↦ (x − mean) / std, one number for each channel, in pixels of [0, 1]. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export function normalizeLayer(
  extents: Extents,
  { mean, std }: Normalization,
): AffineLayer & { readonly normalization: Normalization } {
  const area = extents[1] * extents[2];
  const perFeature = (value: (channel: number) => number, dtype: FloatType) =>
    constant(
      Float64Array.from({ length: featuresOf(extents) }, (_, i) => value(Math.floor(i / area))),
      [featuresOf(extents), 1],
      dtype,
    );
  const scale = (x: Tensor) =>
    mul(
      x,
      perFeature((c) => 1 / (std[c] as number), x.dtype as FloatType),
    );
  const shift = (dtype: FloatType) => perFeature((c) => -(mean[c] as number) / (std[c] as number), dtype);
  return {
    kind: 'affine',
    separable: true,
    name: 'normalize',
    input: extents,
    output: extents,
    parameters: [],
    normalization: { mean, std },
    apply: (_, x) => add(scale(x), shift(x.dtype as FloatType)),
    linear: (_, x) => scale(x),
    adjoint: (_, a) => scale(a),
    absolute: (weights) => weights,
    bias: (_, dtype) => shift(dtype),
  };
}
