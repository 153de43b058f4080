/**
 * Gzip-compressed files, where a format allows them: told by their first bytes, unpacked with a limit, as a
 * small file may hold a huge one.
 */
import { FormatError } from './format-error.js';
import { gunzip } from './gunzip.js';

/**
 * Most bytes that a compressed file may unpack to: MNIST needs 47 MB, EMNIST 550 MB; beyond is a mistake or a
 * bomb.
 */
export const LARGEST_UNPACKED = 2 ** 30;

/** Whether bytes begin as gzip's do. */
export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/**
 * The bytes themselves, or what they unpack to if they are gzip's.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError for a gzip file that is cut off, damaged or unpacks to more than 2³⁰ bytes
 */
export function gunzipped(bytes: Uint8Array, source: string): Uint8Array {
  if (!isGzip(bytes)) return bytes;
  try {
    return gunzip(bytes, LARGEST_UNPACKED);
  } catch (error) {
    throw new FormatError(
      `${source}: expected a whole gzip file of at most ${LARGEST_UNPACKED} bytes ` +
        `(${(error as Error).message.split('\n')[0]})`,
    );
  }
}
