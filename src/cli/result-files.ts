/**
 * Where results go: found out before hours of work, not after, that there is no place for them, or that they
 * would take another file's.
 */
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { UsageError } from '../experiment/errors.js';
import { runPaths } from '../experiment/run/run-folder.js';

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() ?? false;

/**
 * Checks that files can be made, or replaced without loss.
 * @param inputs files that are read, and folders of runs, whose own files are not replaced either
 * @param where what errors name, such as "--out"
 * @throws UsageError
 */
export async function checkResultFiles(
  files: readonly string[],
  inputs: readonly string[],
  where: string,
): Promise<void> {
  const read = new Set(
    inputs.flatMap((input) => [input, ...Object.values(runPaths(input))]).map((path) => resolve(path)),
  );
  for (const file of files) {
    const folder = dirname(file);
    if (!(await isFolder(folder)))
      throw new UsageError(
        `${where}: expected a file in a folder that exists, got ${file}; create ${folder} first`,
      );
    if (read.has(resolve(file)))
      throw new UsageError(
        `${where}: expected another file than those that are read, got ${file}; choose another`,
      );
    if (await isFolder(file))
      throw new UsageError(`${where}: expected a file, ${file} is a folder; choose another`);
  }
}
