/** Reading a data set for a command, with the progress of its download on stderr. */
import type { Dataset } from '../data/dataset.js';
import { type ReadOptions, readDataset } from '../experiment/read-dataset.js';
import type { Io } from './command.js';
import { fetchProgress } from './progress/download.js';

/** The data set of a name, its images pooled if asked. @throws as `readDataset`; the reason of `io.signal` */
export async function fetchedDataset(
  name: string,
  where: Pick<ReadOptions, 'dataDir' | 'pool'>,
  io: Io,
): Promise<Dataset> {
  const fetched = fetchProgress(io.stderr);
  const { dataDir, pool } = where;
  return readDataset(name, {
    dataDir,
    pool,
    progress: (state) => fetched.update(state),
    signal: io.signal,
  }).finally(() => fetched.stop());
}
