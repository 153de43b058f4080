/** The networks of a run whose landscapes are looked at, and the images that their losses are means of. */
import { assembleBatch } from '../../data/batches.js';
import type { Dataset } from '../../data/dataset.js';
import type { PooledBatch } from '../../evaluation/batch-feeds.js';
import { initialParameters, networkOf } from '../../experiment/prepare-training.js';
import { imagesOf } from '../../experiment/settings/images.js';
import type { Settings } from '../../experiment/settings/settings.js';
import { trainedNetwork } from '../../experiment/trained-network.js';
import { batchNormNodes } from '../../network/folding.js';
import type { Subject } from './landscape.js';

/**
 * The network of settings at its initialisation; undefined with batch normalisation, which has no statistics
 * before training.
 */
export function initialSubject(settings: Settings): Subject | undefined {
  const network = networkOf(settings, imagesOf(settings));
  if (batchNormNodes(network).length > 0) return undefined;
  return { name: 'at initialisation', network, parameters: initialParameters(settings, network) };
}

/** The network that a finished run has left. @throws UsageError, Failure: one line for what cannot be read */
export async function trainedSubject(run: string): Promise<Subject> {
  const { network, parameters } = await trainedNetwork(run);
  return { name: 'after training', network, parameters };
}

/** The first training images as one batch. */
export const firstTrainingImages = ({ train }: Dataset, images: number): PooledBatch =>
  assembleBatch(
    train,
    Array.from({ length: images }, (_, i) => i),
  );
