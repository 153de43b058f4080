/** Affine layers written out as matrices, for solvers that want them. */
import { constant, type FloatType, type Tensor, transpose } from '../../graph/index.js';
import { type AffineLayer, featuresOf, type Weights } from '../../network/layers/layer.js';

/**
 * The matrix [out, in] of an affine layer: its images of the unit vectors, or its adjoint's where those are
 * fewer.
 */
export function matrixOf(layer: AffineLayer, weights: Weights, dtype: FloatType): Tensor {
  const [inputs, outputs] = [featuresOf(layer.input), featuresOf(layer.output)];
  const size = Math.min(inputs, outputs);
  const identity = new Float64Array(size * size);
  for (let i = 0; i < size; i++) identity[i * size + i] = 1;
  const unit = constant(identity, [size, size], dtype);
  return inputs <= outputs ? layer.linear(weights, unit) : transpose(layer.adjoint(weights, unit));
}
