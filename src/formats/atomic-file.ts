/**
 * Files that are either wholly the old ones or wholly the new ones.
 *
 * Bytes go to a temporary name beside the target, are flushed to the disk and then renamed over it, so that a
 * crash, a full disk or a reader at the wrong moment never meets half a checkpoint.
 */
import { fstatSync, writeSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import replaceFile from 'write-file-atomic';
import { toFileError } from './file-error.js';

export { FileError } from './file-error.js';

/**
 * Writes `data` (text as UTF-8) to `path`, whole or not at all.
 *
 * A device or a pipe, such as /dev/null, is written into, never replaced; so is the file that stdout or
 * stderr goes to, where its next text would go. The folder must exist. Calls for one path run one after
 * another; permissions and owner of a file that is replaced are kept; a symbolic link is followed.
 * @param outputs descriptors whose files are written through them
 * @throws FileError naming the path, when the disk is full, the folder missing, writing forbidden, …; the old
 *  file, if any, is then untouched.
 */
export async function writeFileAtomic(
  path: string,
  data: Uint8Array | string,
  outputs: readonly number[] = [1, 2],
): Promise<void> {
  try {
    const output = await outputOf(path, outputs);
    if (output !== undefined) return writeWhole(output, data);
    if (await isStream(path)) return await writeFile(path, data);
    // write-file-atomic writes with one call and does not look at how much was taken: on a nearly full disk,
    // or beyond 2 GiB, that is less than all. So it is given nothing to write, and the temporary file is
    // filled here, where every byte counts.
    await replaceFile(path, '', {
      tmpfileCreated: (temporary) => writeFile(temporary, data) as unknown as undefined,
    });
  } catch (error) {
    throw toFileError(path, 'write', error);
  }
}

/** The descriptor, if any, that writes to the plain file `path`. */
async function outputOf(path: string, outputs: readonly number[]): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return undefined;
  return outputs.find((descriptor) => {
    try {
      const { dev, ino } = fstatSync(descriptor);
      return dev === found.dev && ino === found.ino;
    } catch {
      return false;
    }
  });
}

/** One call may take less than all. */
function writeWhole(descriptor: number, data: Uint8Array | string): void {
  let rest = Buffer.from(data);
  while (rest.length > 0) rest = rest.subarray(writeSync(descriptor, rest));
}

/** Whether `path` names something that is no plain file and no folder: a device, a pipe, a socket. */
const isStream = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => !found.isFile() && !found.isDirectory(),
    () => false,
  );
