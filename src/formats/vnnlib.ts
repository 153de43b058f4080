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
import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { toFileError } from './file-error.js';
import { FormatError } from './format-error.js';
import { isGzip } from './gzip.js';
import type { VnnlibProperty } from './vnnlib/constraint.js';
import { createParser } from './vnnlib/parser.js';

export {
  type Constraint,
  type LinearConstraint,
  type VnnlibProperty,
  variableName,
} from './vnnlib/constraint.js';
export { ELEMENT_TYPES } from './vnnlib/network-declaration.js';

/** Bytes that are read, and unfolded, at once. */
const CHUNK = 2 ** 18;

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
 * @throws FileError if the file cannot be read, FormatError if it is not VNN-LIB 1.0 or a broken gzip file
 */
export async function readVnnlib(path: string): Promise<VnnlibProperty> {
  const parser = createParser(path);
  const file = createReadStream(path, { highWaterMark: CHUNK })[
    Symbol.asyncIterator
  ]() as AsyncIterableIterator<Buffer>;
  try {
    const first = await file.next();
    const whole = (async function* () {
      if (first.done !== true) yield first.value;
      yield* file;
    })();
    const chunks = first.done !== true && isGzip(first.value) ? unpacked(whole) : whole;
    for await (const chunk of chunks) parser.push(chunk);
    parser.end();
    return parser.finish();
  } catch (error) {
    if (error instanceof FormatError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code?.startsWith('Z_'))
      throw new FormatError(`${path}: expected a whole gzip file, got one that does not unfold (${message})`);
    throw toFileError(path, 'read', error);
  } finally {
    await file.return?.();
  }
}

/** What gzip-compressed pieces unpack to; an error of either ends it. */
function unpacked(pieces: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const gunzip = createGunzip({ chunkSize: CHUNK });
  // Whoever iterates meets the error; the callback is only there because an error without one would end the
  // process.
  pipeline(Readable.from(pieces), gunzip, () => undefined);
  return gunzip;
}
