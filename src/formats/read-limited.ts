/**
 * Files that a user names, read whole up to a limit: whoever names a device that never ends, or a file that
 * does not fit, is told so before the memory is gone.
 */
import { open } from 'node:fs/promises';
import { toFileError } from './file-error.js';
import { FormatError } from './format-error.js';

/** Bytes of a model or of what is read beside it. */
const MOST = 2 ** 31;
const CHUNK = 2 ** 22;

/**
 * The bytes of a file or pipe.
 * @throws FormatError for a device, or for more than `most` bytes (2³¹); FileError where reading fails
 */
export async function readLimited(path: string, most = MOST): Promise<Buffer> {
  const tooLarge = () =>
    new FormatError(`${path}: expected a file of at most ${most} bytes, got a larger one`);
  const file = await open(path, 'r').catch((error: unknown) => {
    throw toFileError(path, 'read', error);
  });
  try {
    const about = await file.stat();
    if (about.isCharacterDevice() || about.isBlockDevice())
      throw new FormatError(`${path}: expected a file, got a device`);
    if (about.size > most) throw tooLarge();
    const pieces: Buffer[] = [];
    for (let total = 0; ; ) {
      const piece = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(2 ** 16, about.size + 1)));
      const { bytesRead } = await file.read(piece, 0, piece.length);
      if (bytesRead === 0) return Buffer.concat(pieces);
      total += bytesRead;
      if (total > most) throw tooLarge();
      pieces.push(piece.subarray(0, bytesRead));
    }
  } catch (error) {
    throw error instanceof FormatError ? error : toFileError(path, 'read', error);
  } finally {
    await file.close();
  }
}
