/**
 * IDX, the format of the MNIST files: a big-endian header, then unsigned bytes in row-major order.
 *
 * ```
 * byte 0–1  zero
 * byte 2    element type; 0x08 = unsigned byte, the only one read here
 * byte 3    number of dimensions D
 * 4·D bytes extents, unsigned 32-bit big-endian
 * the rest  one byte per element, exactly the product of the extents
 * ```
 * Source: LeCun, Cortes, Burges, *The MNIST database of handwritten digits*.
 */
import { readFile } from 'node:fs/promises';
import { toFileError } from './file-error.js';
import { FormatError } from './format-error.js';
import { gunzipped } from './gzip.js';

export { isGzip } from './gzip.js';

/** An array of bytes in the IDX format, as MNIST's files have it. */
export interface IdxArray {
  /** Extents, outermost first: [images, height, width] or [labels]. */
  readonly shape: readonly number[];
  /** Row-major elements; a view of the bytes decoded. */
  readonly data: Uint8Array;
}

const UNSIGNED_BYTE = 0x08;
/**
 * Decodes IDX bytes, gzip-compressed or plain.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError if the magic, the element type or the length is not what the format demands
 */
export function decodeIdx(bytes: Uint8Array, source = 'IDX data'): IdxArray {
  const plain = gunzipped(bytes, source);
  if (plain.length < 4)
    throw new FormatError(`${source}: expected an IDX header of at least 4 bytes, got ${plain.length} bytes`);
  const [zero, alsoZero, type, dimensions] = plain as unknown as [number, number, number, number];
  if (zero !== 0 || alsoZero !== 0 || dimensions === 0) {
    const magic = [...plain.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    throw new FormatError(
      `${source}: expected IDX magic 00 00 08 followed by the number of dimensions, got ${magic}`,
    );
  }
  if (type !== UNSIGNED_BYTE) {
    throw new FormatError(
      `${source}: expected IDX elements of type 0x08 (unsigned byte), got type ` +
        `0x${type.toString(16).padStart(2, '0')}`,
    );
  }
  const header = 4 + 4 * dimensions;
  if (plain.length < header)
    throw new FormatError(`${source}: expected an IDX header of ${header} bytes, got ${plain.length} bytes`);
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  const shape = Array.from({ length: dimensions }, (_, axis) => view.getUint32(4 + 4 * axis));
  const expected = header + shape.reduce((product, extent) => product * extent, 1);
  if (plain.length !== expected) {
    throw new FormatError(
      `${source}: expected ${expected} bytes for IDX shape [${shape.join(',')}], got ${plain.length} bytes`,
    );
  }
  return { shape, data: plain.subarray(header) };
}

/**
 * Encodes unsigned bytes of a shape, in two parts that belong one after the other: the header, and the data
 * as they are.
 */
export function encodeIdx({ shape, data }: IdxArray): readonly [header: Uint8Array, data: Uint8Array] {
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (size !== data.length)
    throw new FormatError(
      `IDX data: expected ${size} bytes for shape [${shape.join(',')}], got ${data.length}`,
    );
  const header = new Uint8Array(4 + 4 * shape.length);
  const view = new DataView(header.buffer);
  view.setUint32(0, (UNSIGNED_BYTE << 8) | shape.length);
  shape.forEach((extent, axis) => {
    view.setUint32(4 + 4 * axis, extent);
  });
  return [header, data];
}

/**
 * Reads an IDX file, gzip-compressed or plain.
 * @throws FileError if the file cannot be read, FormatError if it is not IDX
 */
export async function readIdx(path: string): Promise<IdxArray> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw toFileError(path, 'read', error);
  });
  return decodeIdx(bytes, path);
}
