/**
 * Selection: y_i = x_{t(i)}, or a constant where t(i) = −1. What permutes, cuts, repeats, pads and
 * interleaves features: Transpose, Slice, Gather, Pad and Expand of imported networks; the sum of selections
 * with zeros elsewhere is their concatenation.
 *
 * The table is part of the layer and trains nothing. Forward it is one gather of whole rows; its adjoint sums
 * the rows that a feature was selected for, which is one gather again where none is selected twice.
 */
import { add, constant, type FloatType, gatherRows, type RowTable, type Tensor } from '../../graph/index.js';
import { type AffineLayer, type Extents, featuresOf } from './layer.js';
import { adjointTable, rowSums } from './row-sums.js';

/**
 * @param table for each output feature the input feature that it repeats, or −1
 * @param constants for each output feature what it is where the table says −1, and 0 elsewhere; zeros if left
 *  out
 */
export function selectionLayer(
  input: Extents,
  output: Extents,
  table: RowTable,
  constants?: ArrayLike<number>,
): AffineLayer {
  const [inputs, outputs] = [featuresOf(input), featuresOf(output)];
  if (table.length !== outputs || (constants !== undefined && constants.length !== outputs))
    throw new RangeError(
      `selection: expected ${outputs} table entries and constants for ${output.join('×')}, got ` +
        `${table.length} and ${constants?.length ?? 'none'}`,
    );
  const outside = table.find((row) => row < -1 || row >= inputs);
  if (outside !== undefined)
    throw new RangeError(`selection: expected table entries from −1 to ${inputs - 1}, got ${outside}`);
  const shift =
    constants?.length && Array.from(constants).some((value) => value !== 0)
      ? Float64Array.from(constants)
      : undefined;
  const column = (dtype: FloatType) => shift && constant(shift, [outputs, 1], dtype);
  const readers = adjointTable(table, outputs, inputs);
  const select = (x: Tensor) => gatherRows(x, table);
  return {
    kind: 'affine',
    separable: readers.length <= inputs, // no feature is selected twice
    name: 'selection',
    input,
    output,
    parameters: [],
    apply(_, x) {
      const shifts = column(x.dtype as FloatType);
      return shifts ? add(select(x), shifts) : select(x);
    },
    linear: (_, x) => select(x),
    adjoint: (_, a) => rowSums(a, readers, inputs),
    absolute: (weights) => weights,
    bias: (_, dtype) => column(dtype),
  };
}
