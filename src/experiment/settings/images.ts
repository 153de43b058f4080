/** The images that settings train on: a data set's, pooled or not. */
import type { DatasetDescription } from '../../data/dataset.js';
import { datasetNamed } from '../../data/datasets.js';
import { pooledDescription, poolingFrom } from '../../data/pooled.js';
import type { Settings } from './settings.js';

/** What is known of them without reading them. @throws RangeError for a pooling that does not fit */
export const imagesOf = ({ dataset, pool }: Pick<Settings, 'dataset' | 'pool'>): DatasetDescription =>
  pooledDescription(datasetNamed(dataset), poolingFrom(pool));
