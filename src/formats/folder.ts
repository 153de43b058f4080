/** Making folders. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { toFileError } from './file-error.js';

/**
 * Makes a folder with those above it, and says whether it was not there. Node's own recursive `mkdir` does
 * not end where a folder seems to be missing but cannot be made, as under /proc: here each is tried once
 * after those above it.
 * @throws FileError naming the folder that cannot be made
 */
export async function makeFolder(path: string): Promise<boolean> {
  try {
    return await made(path, true);
  } catch (error) {
    throw toFileError(path, 'create', error);
  }
}

async function made(path: string, withParents: boolean): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && withParents && dirname(path) !== path) {
      await made(dirname(path), true);
      return made(path, false);
    }
    // Some systems say of a folder that is there that it may not be made.
    if (
      await stat(path).then(
        (found) => found.isDirectory(),
        () => false,
      )
    )
      return false;
    throw error;
  }
}
