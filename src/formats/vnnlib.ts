/**
 * VNN-LIB 1.0 and 2.0, the format of the verification competition's properties: a subset of SMT-LIB that
 * bounds inputs X and says which outputs Y are unsafe.
 *
 * ```
 * (declare-const X_0 Real)
 * (declare-const Y_0 Real)
 * (assert (>= X_0 -0.5))
 * (assert (<= X_0 0.5))
 * (assert (or (<= Y_0 -1.0) (>= Y_0 (* 2 X_0))))
 * ```
 * Version 2.0 declares networks, whose tensors it names by their indices:
 *
 * ```
 * (vnnlib-version <2.0>)
 * (declare-network f (declare-input X float32 [1,3]) (declare-output Y float32 [1,2]))
 * (assert (>= X[0,2] -0.5))
 * ```
 * Files are read as a stream, plain or gzip-compressed; decimals are rounded to the nearest float64. What is
 * accepted beyond the competition's own files, and what is refused, is said in `vnnlib/parser.ts`. Sources:
 * Demarchi, Guidotti, Pulina, Tacchella, *Supporting Standardization of Neural Networks Verification with
 * VNN-LIB and CoCoNet*, 2023; the benchmarks of VNN-COMP 2021–2023; the standard's document and grammar of
 * version 2.0, github.com/VNNLIB/VNNLIB-Standard; Antony, Gimelli, Roy, Daggitt, *VNN-LIB 2.0: Rigorous
 * Foundations for Neural Network Verification*, 2026.
 */
import { plainPieces, type ReadLimits } from './read-limited.js';
import type { VnnlibProperty } from './vnnlib/constraint.js';
import { createParser } from './vnnlib/parser.js';

export { encodeAssignment, encodeTensorFile, type TensorAssignment } from './vnnlib/assignment.js';
export {
  type Constraint,
  type LinearConstraint,
  type VnnlibProperty,
  variableName,
} from './vnnlib/constraint.js';
export { encodeVnnlib } from './vnnlib/print.js';
export {
  ELEMENT_TYPES,
  elementsOf,
  type NetworkDeclaration,
  shapeText,
  type TensorDeclaration,
  type TensorKind,
  tensorsOf,
} from './vnnlib/tensor.js';

/**
 * The property that text or bytes (not compressed) say.
 * @param source what errors call them
 * @throws FormatError "source:line:column: …" when they are not VNN-LIB 1.0 or 2.0 as far as it is read here
 */
export function parseVnnlib(text: string | Uint8Array, source = 'VNN-LIB text'): VnnlibProperty {
  const parser = createParser(source);
  parser.push(typeof text === 'string' ? Buffer.from(text) : text);
  parser.end();
  return parser.finish();
}

/**
 * Reads a file, plain or gzip-compressed whatever its name, piece by piece.
 * @throws FileError if the file cannot be read; FormatError if it is not VNN-LIB, a broken gzip file or
 *  larger than the limit; the reason of the limits' signal
 */
export async function readVnnlib(path: string, limits: ReadLimits = {}): Promise<VnnlibProperty> {
  const parser = createParser(path);
  for await (const piece of plainPieces(path, limits)) parser.push(piece);
  parser.end();
  return parser.finish();
}
