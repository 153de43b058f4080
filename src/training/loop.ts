/**
 * The training loop: one estimate of the gradient, one step of an update rule, batch after batch.
 *
 * All that a step depends on is a function of the run's key, the step's number and the state, so a run that is stopped after any
 * step and continued from that step's state takes exactly the steps it would have taken.
 */
import type { Augmentation } from '../data/augmentation.js';
import { epochBatches } from '../data/batches.js';
import type { Split } from '../data/dataset.js';
import { createLoader } from '../data/loader.js';
import type { Objective, ObjectiveScalars } from '../objective/objective.js';
import type { Pool } from '../runtime/pool.js';
import { deriveKey, type Key } from '../runtime/random.js';
import type { ParameterSlice } from '../runtime/task.js';
import type { Estimator } from '../smoothing/estimator.js';
import { pooledObjective } from '../smoothing/pooled-objective.js';
import { clipGlobalNorm, globalNorm } from './gradient-clip.js';
import type { Schedule } from './schedules.js';
import type { UpdateRule } from './update-rule.js';
import { averagedWith, type WeightAverage } from './weight-average.js';

export interface TrainingOptions {
  readonly train: Split;
  /** Pixels of one image. */
  readonly features: number;
  /** How training images are changed at random; not at all unless given. */
  readonly augmentation?: Augmentation;
  readonly objective: Objective;
  readonly layout: readonly ParameterSlice[];
  readonly estimator: Estimator;
  readonly rule: UpdateRule;
  readonly pool: Pool;
  readonly batchSize: number;
  readonly epochs: number;
  /** Largest norm of the gradient; 0: no limit. */
  readonly gradientClip: number;
  /** Schedules of the epoch, fractional. */
  readonly learningRate: Schedule;
  readonly epsilon: Schedule;
  readonly kappa: Schedule;
  readonly regularization: Schedule;
  /** From the end of which epoch on the parameters at ends of epochs are averaged; never unless given. */
  readonly averageFrom?: number;
  readonly key: Key;
}

/** Averages over the images of the epoch so far. */
export interface EpochSums {
  readonly images: number;
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Everything the next step depends on: plain data that a checkpoint can hold. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  readonly theta: Float32Array;
  readonly estimator: unknown;
  readonly rule: unknown;
  /** Of the parameters at the ends of epochs so far, once it has begun. */
  readonly average?: WeightAverage;
  readonly sums: EpochSums;
}

export interface StepReport {
  readonly state: TrainingState;
  /** Epochs done after this step, fractional. */
  readonly epoch: number;
  readonly epochEnded: boolean;
  readonly images: number;
  readonly scalars: ObjectiveScalars;
  readonly learningRate: number;
  /** How long the step waited for its batch, in milliseconds; not part of what is computed. */
  readonly waited: number;
}

/** The loss, its gradient or the parameters are not finite any more: the run cannot go on from here. */
export class DivergenceError extends Error {
  override name = 'DivergenceError';
  constructor(
    readonly step: number,
    what: string,
  ) {
    super(`training diverged at step ${step}: ${what}; try a smaller learning rate, a longer warm-up or a smaller gradient-clip`);
  }
}

const NOTHING: EpochSums = { images: 0, loss: 0, metrics: {} };

/** Purposes that the run's key is split for; a purpose never changes its number. */
const STREAMS = { order: 1, perturbations: 2, augmentation: 3, attacks: 4 } as const;

export const stepsPerEpoch = ({ train, batchSize }: Pick<TrainingOptions, 'train' | 'batchSize'>): number => Math.ceil(train.count / batchSize);

export function initialState({ estimator, rule, layout }: TrainingOptions, theta: Float32Array): TrainingState {
  return { step: 0, theta, estimator: estimator.init(theta.length, layout), rule: rule.init(theta.length), sums: NOTHING };
}

/** Which images a step takes, in which epoch. */
function stepImages(
  { train, batchSize, key, epochs }: TrainingOptions,
  perEpoch: number,
): (step: number) => { indices: Uint32Array; epoch: number } | undefined {
  const orderKey = deriveKey(key, STREAMS.order, 0);
  let known = { epoch: -1, batches: [] as Uint32Array[] };
  return (step) => {
    const epoch = Math.floor(step / perEpoch);
    if (epoch >= epochs) return undefined;
    if (epoch !== known.epoch) known = { epoch, batches: epochBatches({ count: train.count, batchSize, key: orderKey, epoch }) };
    return { indices: known.batches[step % perEpoch] as Uint32Array, epoch };
  };
}

/** Runs the steps after `state` until the last epoch is done, reporting each. @throws DivergenceError */
export async function* training(options: TrainingOptions, state: TrainingState): AsyncGenerator<StepReport, void> {
  const { train, augmentation, objective, pool, estimator, rule, batchSize, epochs } = options;
  const perEpoch = stepsPerEpoch(options);
  const key = deriveKey(options.key, STREAMS.perturbations, 0);
  const attackKey = deriveKey(options.key, STREAMS.attacks, 0);
  const imagesOf = stepImages(options, perEpoch);
  const loader = createLoader({ split: train, batchSize, augmentation, key: deriveKey(options.key, STREAMS.augmentation, 0) });
  const batchOf = (step: number) => {
    const asked = imagesOf(step);
    return asked && loader.request(asked.indices, asked.epoch);
  };
  try {
    // The sums of an epoch that has ended are not carried into the next.
    let current = state.step % perEpoch === 0 ? { ...state, sums: NOTHING } : state;
    let coming = batchOf(current.step);
    while (coming !== undefined) {
      const { step } = current;
      const at = step / perEpoch;
      const scalars: ObjectiveScalars = { epsilon: options.epsilon(at), kappa: options.kappa(at), regularization: options.regularization(at) };
      const learningRate = options.learningRate(at);
      const asked = performance.now();
      const batch = await coming;
      const waited = performance.now() - asked;
      // Its place is that of the batch before, which is done with.
      coming = batchOf(step + 1);
      const images = batch.labels.length;
      const batchObjective = pooledObjective(pool, objective, options.layout, batch, scalars, deriveKey(attackKey, step, 0));
      const estimate = await estimator.estimate(current.estimator, current.theta, batchObjective, { key, step, epoch: at, epochs });
      if (!Number.isFinite(estimate.loss)) throw new DivergenceError(step, `the loss is ${estimate.loss}`);
      const norm = globalNorm(estimate.gradient);
      if (!Number.isFinite(norm)) throw new DivergenceError(step, `the norm of the gradient is ${norm}`);
      const gradient = options.gradientClip > 0 ? clipGlobalNorm(estimate.gradient, options.gradientClip) : estimate.gradient;
      const next = rule.update(current.rule, current.theta, gradient, learningRate);
      // Found now, not by the next step's loss: no checkpoint and no network may hold such parameters.
      if (!Number.isFinite(globalNorm(next.theta))) throw new DivergenceError(step, 'parameters are not finite after the update');
      const done = step + 1;
      const epochEnded = done % perEpoch === 0;
      current = {
        step: done,
        theta: next.theta,
        estimator: estimate.state,
        rule: next.state,
        average:
          epochEnded && done / perEpoch >= (options.averageFrom ?? Number.POSITIVE_INFINITY) ? averagedWith(current.average, next.theta) : current.average,
        sums: accumulate(current.sums, images, estimate.loss, estimate.metrics),
      };
      yield { state: current, epoch: done / perEpoch, epochEnded, images, scalars, learningRate, waited };
      if (epochEnded) current = { ...current, sums: NOTHING };
    }
  } finally {
    await loader.close();
  }
}

/** Sums weighted by images, so that the epoch's average does not depend on where batches were cut. */
function accumulate(sums: EpochSums, images: number, loss: number, metrics: Readonly<Record<string, number>>): EpochSums {
  const names = Object.keys(metrics);
  return {
    images: sums.images + images,
    loss: sums.loss + loss * images,
    metrics: Object.fromEntries(names.map((name) => [name, (sums.metrics[name] ?? 0) + (metrics[name] as number) * images])),
  };
}

/** Averages of an epoch's sums. */
export function averages({ images, loss, metrics }: EpochSums): { loss: number; metrics: Record<string, number> } {
  const scale = 1 / Math.max(images, 1);
  return { loss: loss * scale, metrics: Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, value * scale])) };
}
