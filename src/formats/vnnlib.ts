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
 * Files are read as a stream, plain or gzip-compressed; decimals are rounded to the nearest float64. What is
 * accepted beyond the competition's own files, and what is refused, is said in `vnnlib/parser.ts`. Sources:
 * Demarchi, Guidotti, Pulina, Tacchella, *Supporting Standardization of Neural Networks Verification with
 * VNN-LIB and CoCoNet*, 2023; the benchmarks of VNN-COMP 2021–2023.
 */
import { plainPieces, type ReadLimits } from './read-limited.js';
import type { VnnlibProperty } from './vnnlib/constraint.js';
import { createParser } from './vnnlib/parser.js';

export {
  type Constraint,
  type LinearConstraint,
  type VnnlibProperty,
  variableName,
} from './vnnlib/constraint.js';
export { ELEMENT_TYPES } from './vnnlib/network-declaration.js';

/**
 * The property that text or bytes (not compressed) say.
 * @param source what errors call them
 * @throws FormatError "source:line:column: …" when they are not VNN-LIB 1.0 as far as it is read here
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
