/** Affine layers written out as matrices, for solvers that want them. */
import { concat, constant, type FloatType, type Tensor, transpose } from '../../graph/index.js';
import { type AffineLayer, featuresOf, type Weights } from '../../network/layers/layer.js';

/** Unit vectors at a time: of large layers all at once would be as large as their matrix. */
const PIECE = 1024;

/**
 * The matrix [out, in] of an affine layer: a linear layer's weight; else its images of the unit vectors, or
 * its adjoint's where those are fewer.
 */
export function matrixOf(layer: AffineLayer, weights: Weights, dtype: FloatType): Tensor {
  if (layer.name === 'linear') return weights.weight as Tensor;
  const [inputs, outputs] = [featuresOf(layer.input), featuresOf(layer.output)];
  const size = Math.min(inputs, outputs);
  const map = (unit: Tensor) =>
    inputs <= outputs ? layer.linear(weights, unit) : layer.adjoint(weights, unit);
  const columns = Array.from({ length: Math.ceil(size / PIECE) }, (_, i) =>
    map(unitColumns(size, i * PIECE, Math.min(size, (i + 1) * PIECE), dtype)),
  );
  const matrix = columns.length === 1 ? (columns[0] as Tensor) : concat(columns, 1);
  return inputs <= outputs ? matrix : transpose(matrix);
}

/** Unit vectors from the one of `start` on, [size, end − start]. */
function unitColumns(size: number, start: number, end: number, dtype: FloatType): Tensor {
  const count = end - start;
  const identity = new Float64Array(size * count);
  for (let i = 0; i < count; i++) identity[(start + i) * count + i] = 1;
  return constant(identity, [size, count], dtype);
}
