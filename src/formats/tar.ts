/** tar archives, read by `modern-tar`: the regular files by name. */
import { unpackTar } from 'modern-tar';
import { FormatError } from './format-error.js';

/** Bytes of a block; two blocks of zeros end an archive. */
const BLOCK = 512;

/**
 * The regular files of an archive by name.
 * @param source what errors call the bytes, normally the archive's path
 * @throws FormatError if a header is damaged or the archive is cut short
 */
export async function decodeTar(bytes: Uint8Array, source = 'tar archive'): Promise<Map<string, Uint8Array>> {
  if (!bytes.subarray(-BLOCK).every((byte) => byte === 0) || bytes.length < BLOCK)
    throw new FormatError(
      `${source}: expected a tar archive that ends with a block of zeros, got one that ends without; it is ` +
        'cut short, get it again',
    );
  const entries = await unpackTar(bytes, { strict: true }).catch((error: Error) => {
    throw new FormatError(
      `${source}: expected a whole tar archive, got one that cannot be read ` +
        `(${error.message.split('\n')[0]}); it is damaged or cut short, get it again`,
    );
  });
  return new Map(
    entries.flatMap(({ header, data }) =>
      header.type === 'file' ? [[header.name, data ?? new Uint8Array()] as const] : [],
    ),
  );
}
