/**
 * The data sets by name. To add one: one file that exports a DatasetSource, and its line here.
 */

import { DataError } from './data-error.js';
import type { DataOptions, Dataset, DatasetSource } from './dataset.js';
import { cifar10 } from './sources/cifar10.js';
import { fashionMnist } from './sources/fashion-mnist.js';
import { mnist } from './sources/mnist.js';
import { svhn } from './sources/svhn.js';
import { tinyImageNet } from './sources/tiny-imagenet.js';

const sources = {
  mnist,
  'fashion-mnist': fashionMnist,
  cifar10,
  svhn,
  'tiny-imagenet': tinyImageNet,
} as const satisfies Record<string, DatasetSource>;

export type DatasetName = keyof typeof sources;
export const datasetNames = Object.keys(sources) as readonly DatasetName[];
export const datasets: ReadonlyMap<string, DatasetSource> = new Map(Object.entries(sources));

/**
 * The data set of a name, not read yet.
 * @throws DataError listing the names there are
 */
export function datasetNamed(name: string): DatasetSource {
  const source = datasets.get(name);
  if (source === undefined)
    throw new DataError(`unknown data set "${name}"; expected one of: ${[...datasets.keys()].join(', ')}`);
  return source;
}

/** Reads the data set of a name; see DatasetSource.load. */
export const loadDataset = (name: string, options: DataOptions = {}): Promise<Dataset> =>
  datasetNamed(name).load(options);
