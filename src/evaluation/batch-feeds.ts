/**
 * One batch as programs are fed with it: cut into micro-batches, and put together again from what they give.
 */

import type { Objective, ObjectiveScalars } from '../objective/objective.js';
import type { Outputs, TaskFeeds, UniformNumbers } from '../runtime/pool/task.js';
import { deriveKey, type Key } from '../runtime/random/keys.js';
import { sharedBuffer } from '../runtime/shared-memory.js';

/** One batch for a pool: pixels in [0, 1] and labels from 0, one for each image. */
export interface PooledBatch {
  /** Row per image, [batch, features], in [0, 1]. */
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

/**
 * Where attacks on the images from number `first` on start: an image's numbers do not depend on the
 * micro-batch that it is in.
 */
function attackStarts(
  { noise, microBatch }: Objective,
  key: Key | undefined,
  first: number,
): Record<string, UniformNumbers> {
  const inputs = Object.entries(noise);
  if (inputs.length > 0 && key === undefined)
    throw new TypeError('objective: expected a key for the random starts of its attacks, got none');
  return Object.fromEntries(
    inputs.map(([name, n], i) => [
      name,
      { key: deriveKey(key as Key, i, 0), start: first * n, size: microBatch * n },
    ]),
  );
}

/**
 * Where the micro-batches of `count` images begin. All are full but the last, unless their images share
 * statistics: then sizes differ by one at most, as a few images left over would have statistics far from
 * those of the others.
 */
export function microBatchStarts(
  { microBatch, batchStatistics }: Pick<Objective, 'microBatch' | 'batchStatistics'>,
  count: number,
): number[] {
  const parts = Math.ceil(count / microBatch);
  return Array.from({ length: parts }, (_, i) =>
    batchStatistics ? Math.floor((i * count) / parts) : i * microBatch,
  );
}

/** The arrays of each micro-batch, padded with images of weight 0. */
export function microBatches(
  objective: Objective,
  batch: PooledBatch,
  scalars: ObjectiveScalars,
  attackKey: Key | undefined,
): TaskFeeds[] {
  const { microBatch } = objective;
  const count = batch.labels.length;
  const features = batch.images.length / count;
  const feeds: TaskFeeds[] = [];
  const starts = microBatchStarts(objective, count);
  for (const [i, start] of starts.entries()) {
    const used = (starts[i + 1] ?? count) - start;
    const images = new Float32Array(sharedBuffer(4 * microBatch * features));
    images.set(batch.images.subarray(start * features, (start + used) * features));
    const labels = new Int32Array(microBatch);
    labels.set(batch.labels.subarray(start, start + used));
    const weight = new Float32Array(microBatch).fill(1 / count, 0, used);
    feeds.push({
      images,
      labels,
      weight,
      epsilon: Float32Array.of(scalars.epsilon),
      kappa: Float32Array.of(scalars.kappa),
      regularization: Float32Array.of(scalars.regularization),
      ...(scalars.beta !== undefined && { beta: Float32Array.of(scalars.beta) }),
      ...attackStarts(objective, attackKey, start),
    });
  }
  return feeds;
}

/** Averages over a batch: the loss, its parts, and metrics such as certified accuracy in [0, 1]. */
export interface BatchValues {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Names of the metrics of a batch: outputs that are sums over images. */
export const metricsOf = ({ counts, parts }: Pick<Objective, 'counts' | 'parts'>): readonly string[] => [
  ...counts,
  ...parts,
];

/**
 * Loss, parts and counts of a batch: micro-batches summed in their order, so that the bits do not depend on
 * who finished first.
 */
export function batchValues(objective: Objective, parts: readonly Outputs[], images: number): BatchValues {
  const sum = (name: string) => parts.reduce((total, outputs) => total + Number(outputs[name]?.[0]), 0);
  return {
    loss: sum('loss'),
    metrics: Object.fromEntries(metricsOf(objective).map((name) => [name, sum(name) / images])),
  };
}

/** The same from the numbers of each micro-batch, [micro-batches, names]. */
export function scalarValues(
  objective: Objective,
  numbers: Float64Array,
  names: readonly string[],
  images: number,
): BatchValues {
  const sum = (name: string) => {
    let total = 0;
    for (let i = names.indexOf(name); i < numbers.length; i += names.length) total += numbers[i] as number;
    return total;
  };
  return {
    loss: sum('loss'),
    metrics: Object.fromEntries(metricsOf(objective).map((name) => [name, sum(name) / images])),
  };
}

/** Losses of pairs, and the metrics averaged over all their points. */
export function pairValues(
  objective: Objective,
  plus: readonly BatchValues[],
  minus: readonly BatchValues[],
) {
  const all = [...plus, ...minus];
  const metrics = Object.fromEntries(
    metricsOf(objective).map((name) => [
      name,
      all.reduce((s, { metrics: m }) => s + (m[name] as number), 0) / all.length,
    ]),
  );
  return {
    plus: Float64Array.from(plus, ({ loss }) => loss),
    minus: Float64Array.from(minus, ({ loss }) => loss),
    metrics,
  };
}
