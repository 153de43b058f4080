/**
 * tar, as far as archives of data sets use it: the regular files of a POSIX ustar or older archive.
 *
 * ```
 * 512 bytes header: name [0, 100), size in octal [124, 136), sum of the header's bytes in octal [148, 156),
 * type [156], prefix of the name [345, 500) content, filled up with zeros to a multiple of 512 … until a
 * header of zeros
 * ```
 * Source: IEEE Std 1003.1 (POSIX), *pax*, ustar interchange format.
 */
import { FormatError } from './format-error.js';

const BLOCK = 512;

const textIn = (header: Uint8Array, start: number, end: number): string => {
  const zero = header.subarray(start, end).indexOf(0);
  return new TextDecoder().decode(header.subarray(start, zero === -1 ? end : start + zero));
};
const octal = (header: Uint8Array, start: number, end: number): number =>
  Number.parseInt(textIn(header, start, end).trim(), 8);

/** Sum of a header's bytes, its own field for it read as spaces. */
function checksum(header: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (header[i] as number);
  return sum;
}

/**
 * The regular files of an archive by name; contents are views of `bytes`.
 * @param source what errors call the bytes, normally the archive's path
 * @throws FormatError if a header is damaged or the archive ends within a file
 */
export function decodeTar(bytes: Uint8Array, source = 'tar archive'): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (let position = 0; position + BLOCK <= bytes.length; ) {
    const header = bytes.subarray(position, position + BLOCK);
    if (header.every((byte) => byte === 0)) return files;
    const size = octal(header, 124, 136);
    if (octal(header, 148, 156) !== checksum(header) || !Number.isInteger(size))
      throw new FormatError(`${source}: expected a tar header at byte ${position}, got something else`);
    const name = [textIn(header, 345, 500), textIn(header, 0, 100)].filter((part) => part !== '').join('/');
    const start = position + BLOCK;
    if (start + size > bytes.length)
      throw new FormatError(
        `${source}: expected ${size} bytes of ${name}, got ${bytes.length - start}; the archive is cut ` +
          'short, get it again',
      );
    const type = header[156] as number;
    if (type === 0 || type === 0x30) files.set(name, bytes.subarray(start, start + size));
    position = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  throw new FormatError(
    `${source}: expected a tar archive that ends with a block of zeros, got one that ends without; it is ` +
      'cut short, get it again',
  );
}
