/**
 * Pooling: y_i = f_i · Σ_t x_{T(i, t)} with f_i ≥ 0, the terms of −1 being zero: average pooling, and sums
 * and means over axes.
 */
import { constant, type FloatType, mul, type RowTable, type Tensor } from '../../graph/index.js';
import { type AffineLayer, type Extents, featuresOf } from './layer.js';
import { adjointTable, rowSums } from './row-sums.js';

/**
 * @param table [outputs, terms]: the input features that each output sums, −1 for none
 * @param factors f, one for each output
 */
export function poolingLayer(
  input: Extents,
  output: Extents,
  table: RowTable,
  factors: ArrayLike<number>,
): AffineLayer {
  const [inputs, outputs] = [featuresOf(input), featuresOf(output)];
  const terms = table.length / outputs;
  if (!Number.isSafeInteger(terms) || factors.length !== outputs)
    throw new RangeError(
      `pooling: expected as many table entries and one factor for each of ${outputs} outputs, got ` +
        `${table.length} and ${factors.length}`,
    );
  const negative = Array.from(factors).find((factor) => !(factor >= 0));
  if (negative !== undefined) throw new RangeError(`pooling: expected factors ≥ 0, got ${negative}`);
  const scaled = (x: Tensor) =>
    mul(x, constant(Float64Array.from(factors), [outputs, 1], x.dtype as FloatType));
  const readers = adjointTable(table, outputs, inputs);
  const pool = (x: Tensor) => scaled(rowSums(x, table, outputs));
  return {
    kind: 'affine',
    name: 'pooling',
    input,
    output,
    parameters: [],
    apply: (_, x) => pool(x),
    linear: (_, x) => pool(x),
    adjoint: (_, a) => rowSums(scaled(a), readers, inputs),
    absolute: (weights) => weights,
    bias: () => undefined,
  };
}
