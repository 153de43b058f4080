/** The data sets by name. To add one: one file that exports a DatasetSource, and its name in the list here. */

import { cifar10 } from './cifar10.js';
import { DataError } from './data-error.js';
import type { DataOptions, Dataset, DatasetSource } from './dataset.js';
import { fashionMnist } from './fashion-mnist.js';
import { mnist } from './mnist.js';
import { svhn } from './svhn.js';
import { tinyImageNet } from './tiny-imagenet.js';

export const datasets: ReadonlyMap<string, DatasetSource> = new Map([mnist, fashionMnist, cifar10, svhn, tinyImageNet].map((source) => [source.name, source]));

/**
 * The data set of a name, not read yet.
 * @throws DataError listing the names there are
 */
export function datasetNamed(name: string): DatasetSource {
  const source = datasets.get(name);
  if (source === undefined) throw new DataError(`unknown data set "${name}"; expected one of: ${[...datasets.keys()].join(', ')}`);
  return source;
}

/** Reads the data set of a name; see DatasetSource.load. */
export const loadDataset = (name: string, options: DataOptions = {}): Promise<Dataset> => datasetNamed(name).load(options);
