/** The thread of loader.ts: fills the place asked for, and says how far. */
import { parentPort, workerData } from 'node:worker_threads';
import { assembleBatch, type Batch } from './batches.js';
import type { LoaderData, LoaderReply, LoaderRequest } from './loader.js';

const { split, places, augmentation, key } = workerData as LoaderData;

const reply = ({ place, indices, epoch }: LoaderRequest): LoaderReply => {
  try {
    const { labels } = assembleBatch(
      split,
      indices,
      places[place] as Batch,
      augmentation && { ...augmentation, key, epoch },
    );
    return { size: labels.length };
  } catch (error) {
    return { error: (error as Error).message };
  }
};

parentPort?.on('message', (request: LoaderRequest) => parentPort?.postMessage(reply(request)));
