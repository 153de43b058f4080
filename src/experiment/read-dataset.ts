/**
 * Reading a data set for a command: a folder that the user names and that does not hold it is a mistake of
 * who named it.
 */
import { relative, resolve, sep } from 'node:path';
import { DataError } from '../data/data-error.js';
import type { DataOptions, Dataset } from '../data/dataset.js';
import { datasetNamed } from '../data/datasets.js';
import { pooledDataset, poolingFrom } from '../data/pooled.js';
import { FileError } from '../formats/file-error.js';
import { FormatError } from '../formats/format-error.js';
import { UsageError } from './errors.js';

/** Where a data set is read from, and whether its images are pooled. */
export interface ReadOptions extends DataOptions {
  /** "2 max", or "none" (default). */
  readonly pool?: string;
}

/**
 * The data set of a name, as `DatasetSource.load` reads it, its images pooled if asked.
 * @throws UsageError for what is missing, damaged or unreadable in `dataDir`; of the cache and of downloads
 *  DataError, FormatError, FileError
 */
export async function readDataset(name: string, options: ReadOptions = {}): Promise<Dataset> {
  const { pool = 'none', ...where } = options;
  return pooledDataset(await loaded(name, where), poolingFrom(pool));
}

async function loaded(name: string, options: DataOptions): Promise<Dataset> {
  try {
    return await datasetNamed(name).load(options);
  } catch (error) {
    const { dataDir } = options;
    if (dataDir === undefined) throw error;
    // What is decoded from the folder goes to the cache, and a full disk there is nobody's mistake.
    const isOfFolder =
      error instanceof FileError
        ? isWithin(dataDir, error.path)
        : error instanceof DataError || error instanceof FormatError;
    throw isOfFolder ? new UsageError((error as Error).message, { cause: error }) : error;
  }
}

const isWithin = (folder: string, path: string): boolean => {
  const way = relative(resolve(folder), resolve(path));
  return way !== '..' && !way.startsWith(`..${sep}`);
};
