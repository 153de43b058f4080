/**
 * Satisfying assignments as the standard has solvers print them: for each tensor a line with its name, type
 * and extents, then its elements, row-major, one a line.
 *
 * ```
 * X float32 [1,2]
 * 0.25
 * -0.0000001
 * Y float32 [1]
 * 3.5
 * ```
 * Tensors stand in the order of the query, inputs, hidden tensors and outputs of each network in turn.
 * Source: section 5.3.1 of the standard's document, version 2.0.
 */
import { FormatError } from '../format-error.js';
import { encodeTensor } from '../onnx-tensor.js';
import { decimalText } from './print.js';
import { shapeText, type TensorDeclaration } from './tensor.js';

/** The values of a tensor. */
export interface TensorAssignment extends Pick<TensorDeclaration, 'name' | 'type' | 'shape'> {
  readonly values: ArrayLike<number>;
}

/** The text, with a line break at its end. @throws FormatError for a value that is not finite */
export function encodeAssignment(tensors: readonly TensorAssignment[]): string {
  const lines = tensors.flatMap(({ name, type, shape, values }) => [
    `${name} ${type} ${shapeText({ shape })}`,
    ...Array.from(values, (value) => {
      if (Number.isFinite(value)) return decimalText(value);
      throw new FormatError(`assignment: expected finite values, got ${value} in ${name}`);
    }),
  ]);
  return `${lines.join('\n')}\n`;
}

/**
 * A tensor's values as the bytes of a TensorProto, as `--serialise-assignments` leaves them.
 * @param type of its elements, where the query says real: that of the model
 */
export const encodeTensorFile = (
  { name, shape, values }: TensorAssignment,
  type: 'float32' | 'float64',
): Uint8Array =>
  encodeTensor({ name, shape, data: (type === 'float64' ? Float64Array : Float32Array).from(values) });
