/**
 * A thread that prepares batches: while one batch is trained on, the next is gathered and augmented beside
 * it.
 *
 * A batch is a function of its indices, the key and the epoch, so a thread changes when it is ready, not what
 * it is. Images lie in memory that both threads see; batches come back in one of two places in such memory,
 * in turn.
 */

import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { compiledUrl } from '../runtime/compiled-file.js';
import type { Key } from '../runtime/random/keys.js';
import { isShared, sharedBuffer } from '../runtime/shared-memory.js';
import type { Augmentation } from './augmentation.js';
import { allocateBatch, type Batch } from './batches.js';
import type { Split } from './dataset.js';

export interface LoaderOptions {
  readonly split: Split;
  readonly batchSize: number;
  readonly augmentation?: Augmentation;
  /** What the augmentation is drawn from. */
  readonly key: Key;
}

/** Prepares batches in the order of the requests. */
export interface Loader {
  /**
   * The batch of these images in this epoch. It is overwritten by the second request after the one that gave
   * it.
   */
  request(indices: Uint32Array, epoch: number): Promise<Batch>;
  close(): Promise<void>;
}

/** What the thread is started with. */
export interface LoaderData {
  readonly split: Split;
  readonly places: readonly Batch[];
  readonly augmentation: Augmentation | undefined;
  readonly key: Key;
}

export interface LoaderRequest {
  readonly place: number;
  readonly indices: Uint32Array;
  readonly epoch: number;
}

/** How many images of the place asked for are filled, or why none. */
export type LoaderReply = { readonly size: number } | { readonly error: string };

const PLACES = 2;
const threadFile = fileURLToPath(compiledUrl('data/loader-thread.js'));

/** Memory that other threads see, with this content. */
const shared = (bytes: Uint8Array): Uint8Array => {
  if (isShared(bytes.buffer)) return bytes;
  const copy = new Uint8Array(sharedBuffer(bytes.length));
  copy.set(bytes);
  return copy;
};

/** Starts the thread. Close the loader when done, or the process does not end. */
export function createLoader({ split, batchSize, augmentation, key }: LoaderOptions): Loader {
  const features = split.images.length / split.count;
  const places = Array.from({ length: PLACES }, () => allocateBatch(batchSize, features, { shared: true }));
  const data: LoaderData = { split: { ...split, images: shared(split.images) }, places, augmentation, key };
  const thread = new Worker(threadFile, { workerData: data });
  const waiting: { place: number; resolve: (batch: Batch) => void; reject: (error: Error) => void }[] = [];
  let failure: Error | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  thread.on('error', fail);
  thread.on('exit', () => fail(new Error('the thread that prepares batches has ended')));
  thread.on('message', (reply: LoaderReply) => {
    const first = waiting.shift();
    if (first === undefined) return;
    if ('error' in reply) return first.reject(new Error(reply.error));
    const { images, labels } = places[first.place] as Batch;
    first.resolve({
      images: images.subarray(0, reply.size * features),
      labels: labels.subarray(0, reply.size),
    });
  });
  let requests = 0;
  return {
    request(indices, epoch) {
      const place = requests++ % PLACES;
      const reply = new Promise<Batch>((resolve, reject) => {
        if (failure !== undefined) return reject(failure);
        waiting.push({ place, resolve, reject });
      });
      // Requested ahead of need: an error is seen by whoever waits for the batch, not as one that nobody
      // handles.
      reply.catch(() => undefined);
      // A view would be sent with all the memory it is a view of.
      thread.postMessage({ place, indices: indices.slice(), epoch } satisfies LoaderRequest);
      return reply;
    },
    async close() {
      await thread.terminate();
    },
  };
}
