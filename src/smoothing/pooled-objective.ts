/**
 * An objective on one batch as estimators see it, evaluated by a pool of workers: on the CPU micro-batches and perturbations in parallel, on
 * another device many perturbations in one call (`population`).
 */
import type { Objective, ObjectiveScalars } from '../objective/objective.js';
import { inSharedMemory, type Pool } from '../runtime/pool.js';
import { deriveKey, type Key } from '../runtime/random.js';
import { withSmallerChunk } from '../runtime/smaller-chunk.js';
import type { Outputs, ParameterSlice, TaskFeeds, UniformNumbers } from '../runtime/task.js';
import { MOST_KEYS } from '../runtime/weighted-normals.js';
import type { BatchObjective, LossAndGradient, Perturbation } from './estimator.js';
import {
  type CallLimits,
  type Calls,
  callsFor,
  evaluateTogether,
  type MemberResult,
  type Perturbations,
  type PopulationKind,
  weighTogether,
} from './population.js';
import { mean, scores } from './sums.js';

export interface PooledBatch {
  /** Row per image, [batch, features], in [0, 1]. */
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

/** Where attacks on the images from number `first` on start: an image's numbers do not depend on the micro-batch that it is in. */
function attackStarts({ noise, microBatch }: Objective, key: Key | undefined, first: number): Record<string, UniformNumbers> {
  const inputs = Object.entries(noise);
  if (inputs.length > 0 && key === undefined) throw new TypeError('objective: expected a key for the random starts of its attacks, got none');
  return Object.fromEntries(inputs.map(([name, n], i) => [name, { key: deriveKey(key as Key, i, 0), start: first * n, size: microBatch * n }]));
}

/**
 * Where the micro-batches of `count` images begin. All are full but the last, unless their images share statistics: then sizes differ by
 * one at most, as a few images left over would have statistics far from those of the others.
 */
export function microBatchStarts({ microBatch, batchStatistics }: Pick<Objective, 'microBatch' | 'batchStatistics'>, count: number): number[] {
  const parts = Math.ceil(count / microBatch);
  return Array.from({ length: parts }, (_, i) => (batchStatistics ? Math.floor((i * count) / parts) : i * microBatch));
}

/** The arrays of each micro-batch, padded with images of weight 0. */
function microBatches(objective: Objective, batch: PooledBatch, scalars: ObjectiveScalars, attackKey: Key | undefined): TaskFeeds[] {
  const { microBatch } = objective;
  const count = batch.labels.length;
  const features = batch.images.length / count;
  const feeds: TaskFeeds[] = [];
  const starts = microBatchStarts(objective, count);
  for (const [i, start] of starts.entries()) {
    const used = (starts[i + 1] ?? count) - start;
    const images = new Float32Array(new SharedArrayBuffer(4 * microBatch * features));
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
      ...attackStarts(objective, attackKey, start),
    });
  }
  return feeds;
}

/** Loss and counts of a batch: micro-batches summed in their order, so that the bits do not depend on who finished first. */
function summed(objective: Objective, parts: readonly Outputs[], images: number): { loss: number; metrics: Record<string, number> } {
  const sum = (name: string) => parts.reduce((total, outputs) => total + Number(outputs[name]?.[0]), 0);
  return { loss: sum('loss'), metrics: Object.fromEntries(objective.counts.map((name) => [name, sum(name) / images])) };
}

/** Keys of a call that a device's memory did hold, where it did not hold as many as were planned. */
const fewerKeys = new WeakMap<Objective, number>();

type Values = ReturnType<typeof summed>;
function asPairs({ counts }: Objective, plus: readonly Values[], minus: readonly Values[]) {
  const all = [...plus, ...minus];
  const metrics = Object.fromEntries(counts.map((name) => [name, all.reduce((s, { metrics: m }) => s + (m[name] as number), 0) / all.length]));
  return { plus: Float64Array.from(plus, ({ loss }) => loss), minus: Float64Array.from(minus, ({ loss }) => loss), metrics };
}

/** Perturbations that can be computed together: all of one σ. */
function together(perturbations: readonly (Perturbation | undefined)[]): Perturbations | undefined {
  const sigma = perturbations[0]?.sigma;
  if (sigma === undefined || perturbations.some((perturbation) => perturbation?.sigma !== sigma)) return undefined;
  return { keys: perturbations.map((perturbation) => (perturbation as Perturbation).key), sigma };
}

export interface PooledOptions {
  /** Evaluate perturbations together within these limits; by default one by one on the CPU, and together on any other device. */
  readonly limits?: CallLimits;
}

/**
 * The objective on `batch`. `layout` says where each parameter array lies in θ. `attackKey`, needed where the objective has attacks,
 * is what their starts are drawn from: the same at every θ.
 */
export function pooledObjective(
  pool: Pool,
  objective: Objective,
  layout: readonly ParameterSlice[],
  batch: PooledBatch,
  scalars: ObjectiveScalars,
  attackKey?: Key,
  { limits: given }: PooledOptions = {},
): BatchObjective {
  const feeds = microBatches(objective, batch, scalars, attackKey);
  const count = batch.labels.length;
  const coordinates = layout.reduce((sum, { size }) => sum + size, 0);
  const sumOf = ({ outputs }: MemberResult) => summed(objective, outputs, count);
  // The sums of a step are of the perturbations that were evaluated last: they are cut alike, so that a device has their numbers still.
  let last: Calls | undefined;
  const population = async (kind: PopulationKind, theta: Float32Array, perturbations: readonly (Perturbation | undefined)[]) => {
    last = undefined;
    const each = together(perturbations);
    const limits: CallLimits | undefined = given ?? (pool.device === 'cpu' ? undefined : await pool.memory());
    if (each === undefined || limits === undefined) return undefined;
    const callsOf = (keys: number) => callsFor(objective, kind, each, { ...limits, keys });
    const most = Math.min(limits.keys ?? MOST_KEYS, fewerKeys.get(objective) ?? MOST_KEYS);
    const planned = callsOf(most);
    if (planned === undefined) return undefined;
    const { result, members } = await withSmallerChunk(planned.programs.keys, (keys) => {
      last = keys === planned.programs.keys ? planned : (callsOf(keys) as Calls);
      return evaluateTogether(pool, last, layout, theta, each, feeds);
    });
    if (members < planned.programs.keys) fewerKeys.set(objective, members);
    return result;
  };
  return {
    async meanGradient(theta, perturbations) {
      const plan = objective.gradient;
      if (plan === undefined) throw new TypeError('this objective has no gradient: its relaxation is not differentiable; use the estimator pgpe');
      const shared = inSharedMemory(theta);
      const made = await population('gradients', shared, perturbations);
      if (made) return mean(made.plus.map((member) => ({ ...sumOf(member), gradient: member.gradient as Float32Array })));
      const points = await Promise.all(
        perturbations.map(async (perturbation): Promise<LossAndGradient> => {
          const parts = await Promise.all(feeds.map((feed) => pool.run({ plan, feeds: feed, theta: shared, layout, perturbation })));
          const gradient = parts[0]?.gradient as Float32Array;
          for (const { gradient: more } of parts.slice(1))
            for (let i = 0; i < gradient.length; i++) gradient[i] = (gradient[i] as number) + ((more as Float32Array)[i] as number);
          const outputs = parts.map((part) => part.outputs);
          return { ...summed(objective, outputs, count), gradient };
        }),
      );
      return mean(points);
    },
    async pairs(theta, perturbations) {
      const shared = inSharedMemory(theta);
      const made = await population('pairs', shared, perturbations);
      if (made) return asPairs(objective, made.plus.map(sumOf), made.minus.map(sumOf));
      const results = await Promise.all(perturbations.map((perturbation) => pool.pair({ plan: objective.value, feeds, theta: shared, layout, perturbation })));
      const plus = results.map((result) => summed(objective, result.plus, count));
      const minus = results.map((result) => summed(objective, result.minus, count));
      return asPairs(objective, plus, minus);
    },
    async weightedScores(keys, sigma, first, second) {
      const sums = last ? weighTogether(pool, last, keys, first, second) : pool.normals({ keys, first, second }, coordinates);
      return scores(await sums, sigma);
    },
  };
}

/** Loss and metrics at θ itself, without a gradient. */
export async function evaluateBatch(
  pool: Pool,
  objective: Objective,
  layout: readonly ParameterSlice[],
  theta: Float32Array,
  batch: PooledBatch,
  scalars: ObjectiveScalars,
  attackKey?: Key,
): Promise<{ loss: number; metrics: Record<string, number> }> {
  const feeds = microBatches(objective, batch, scalars, attackKey);
  const shared = inSharedMemory(theta);
  const results = await Promise.all(feeds.map((feed) => pool.run({ plan: objective.value, feeds: feed, theta: shared, layout })));
  return summed(
    objective,
    results.map(({ outputs }) => outputs),
    batch.labels.length,
  );
}
