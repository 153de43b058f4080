/**
 * Files that are either wholly the old ones or wholly the new ones.
 *
 * Bytes go to a temporary name beside the target, are flushed to the disk and then renamed over it, so that a
 * crash, a full disk or a reader at the wrong moment never meets half a checkpoint.
 */
import { stat, writeFile } from 'node:fs/promises';
import replaceFile from 'write-file-atomic';
import { toFileError } from './file-error.js';

export { FileError } from './file-error.js';

/**
 * Writes `data` (text as UTF-8) to `path`, whole or not at all.
 *
 * A device or a pipe, such as /dev/null or /dev/stdout, is written into, never replaced. The folder must
 * exist. Calls for one path run one after another; permissions and owner of a file that is replaced are kept;
 * a symbolic link is followed.
 * @throws FileError naming the path, when the disk is full, the folder missing, writing forbidden, …; the old
 *  file, if any, is then untouched.
 */
export async function writeFileAtomic(path: string, data: Uint8Array | string): Promise<void> {
  try {
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

/** Whether `path` names something that is no plain file and no folder: a device, a pipe, a socket. */
const isStream = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => !found.isFile() && !found.isDirectory(),
    () => false,
  );
