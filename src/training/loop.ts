/**
 * The training loop: one estimate of the gradient, one step of an update rule, batch after batch.
 *
 * All that a step depends on is a function of the run's key, the step's number and the state, so a run that
 * is stopped after any step and continued from that step's state takes exactly the steps it would have taken.
 */
import type { Augmentation } from '../data/augmentation.js';
import { epochBatches } from '../data/batches.js';
import type { Split } from '../data/dataset.js';
import { createLoader } from '../data/loader.js';
import type { Objective, ObjectiveScalars } from '../objective/objective.js';
import { deriveKey, type Key } from '../runtime/random/keys.js';
import { devicePlacement } from './placement/device.js';
import { hostPlacement } from './placement/host.js';
import type { HostPosition, Placement, PlacementOptions } from './placement/placement.js';
import type { Schedule } from './schedules.js';
import { averagedWith, type WeightAverage } from './weight-average.js';

/** One training: objective, estimator, update rule, data and schedules. */
export interface TrainingOptions extends PlacementOptions {
  readonly train: Split;
  /** Pixels of one image. */
  readonly features: number;
  /** How training images are changed at random; not at all unless given. */
  readonly augmentation?: Augmentation;
  readonly batchSize: number;
  readonly epochs: number;
  /** What is minimised at an epoch, fractional; `objective` unless given. */
  readonly objectiveAt?: (epoch: number) => Objective;
  /** Schedules of the epoch, fractional. */
  readonly learningRate: Schedule;
  readonly epsilon: Schedule;
  readonly kappa: Schedule;
  readonly regularization: Schedule;
  /** β of a mixture of relaxations. */
  readonly beta?: Schedule;
  /** From the end of which epoch on parameters are averaged; never unless given. */
  readonly averageFrom?: number;
  /** Steps from one averaged point to the next; ends of epochs unless given. */
  readonly averageEvery?: number;
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

/** What one step did. */
export interface StepReport {
  /** Steps done. */
  readonly step: number;
  readonly sums: EpochSums;
  /**
   * The state after this step, brought to the host if it is not there: only until the next step is asked for.
   */
  state(): Promise<TrainingState>;
  /** Whether the state is plain data already, so that asking for it costs nothing. */
  readonly onHost: boolean;
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
    super(
      `training diverged at step ${step}: ${what}; try a smaller learning rate, a longer warm-up or a ` +
        'smaller gradient-clip',
    );
  }
}

const NOTHING: EpochSums = { images: 0, loss: 0, metrics: {} };

/** Purposes that the run's key is split for; a purpose never changes its number. */
const STREAMS = { order: 1, perturbations: 2, augmentation: 3, attacks: 4 } as const;

export const stepsPerEpoch = ({ train, batchSize }: Pick<TrainingOptions, 'train' | 'batchSize'>): number =>
  Math.ceil(train.count / batchSize);

/** State before the first step, at the parameters θ. */
export function initialState(
  { estimator, rule, layout }: TrainingOptions,
  theta: Float32Array,
): TrainingState {
  return {
    step: 0,
    theta,
    estimator: estimator.init(theta.length, layout),
    rule: rule.init(theta.length),
    sums: NOTHING,
  };
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
    if (epoch !== known.epoch)
      known = { epoch, batches: epochBatches({ count: train.count, batchSize, key: orderKey, epoch }) };
    return { indices: known.batches[step % perEpoch] as Uint32Array, epoch };
  };
}

/**
 * Runs the steps after `state` until the last epoch is done, reporting each; θ is on the pool's device if
 * that keeps it. @throws DivergenceError
 */
export async function* training(
  options: TrainingOptions,
  state: TrainingState,
): AsyncGenerator<StepReport, void> {
  const onDevice = options.exchange ? undefined : devicePlacement(options);
  if (onDevice) yield* trainingAt(options, state, onDevice);
  else yield* trainingAt(options, state, hostPlacement(options));
}

async function* trainingAt(
  options: TrainingOptions,
  state: TrainingState,
  placement: Placement,
): AsyncGenerator<StepReport, void> {
  const { train, augmentation, estimator, batchSize, epochs } = options;
  const perEpoch = stepsPerEpoch(options);
  const key = deriveKey(options.key, STREAMS.perturbations, 0);
  const attackKey = deriveKey(options.key, STREAMS.attacks, 0);
  const imagesOf = stepImages(options, perEpoch);
  const loader = createLoader({
    split: train,
    batchSize,
    augmentation,
    key: deriveKey(options.key, STREAMS.augmentation, 0),
  });
  const batchOf = (step: number) => {
    const asked = imagesOf(step);
    return asked && loader.request(asked.indices, asked.epoch);
  };
  try {
    let { step, average } = state;
    // The sums of an epoch that has ended are not carried into the next.
    let sums = step % perEpoch === 0 ? NOTHING : state.sums;
    let coming = batchOf(step);
    let position = await placement.begin(state);
    let search = await placement.beginSearch(state.estimator);
    while (coming !== undefined) {
      const at = step / perEpoch;
      const scalars: ObjectiveScalars = {
        epsilon: options.epsilon(at),
        kappa: options.kappa(at),
        regularization: options.regularization(at),
        ...(options.beta && { beta: options.beta(at) }),
      };
      const learningRate = options.learningRate(at);
      const asked = performance.now();
      const batch = await coming;
      const waited = performance.now() - asked;
      // Its place is that of the batch before, which is done with.
      coming = batchOf(step + 1);
      const images = batch.labels.length;
      const before = { step, average, sums, ...(position as HostPosition), estimator: search };
      await options.exchange?.begin(step, before.theta, () => before satisfies TrainingState);
      const minimised = options.objectiveAt?.(at) ?? options.objective;
      const objective = placement.objective(minimised, batch, scalars, deriveKey(attackKey, step, 0));
      const estimate = await estimator.estimate(search, position.theta, objective, {
        key,
        step,
        epoch: at,
        epochs,
      });
      if (!Number.isFinite(estimate.loss)) throw new DivergenceError(step, `the loss is ${estimate.loss}`);
      const descent = await placement.descend(position, estimate.gradient, learningRate);
      if (!Number.isFinite(descent.gradientNorm))
        throw new DivergenceError(step, `the norm of the gradient is ${descent.gradientNorm}`);
      // Found now, not by the next step's loss: no checkpoint and no network may hold such parameters.
      if (!Number.isFinite(descent.thetaNorm))
        throw new DivergenceError(step, 'parameters are not finite after the update');
      position = descent.position;
      search = estimate.state;
      const clipped = options.gradientClip > 0 && {
        clipped: Number(descent.gradientNorm > options.gradientClip),
      };
      sums = accumulate(sums, images, estimate.loss, { ...estimate.metrics, ...clipped });
      step++;
      const epochEnded = step % perEpoch === 0;
      const { averageFrom = Number.POSITIVE_INFINITY, averageEvery = perEpoch } = options;
      if (step % averageEvery === 0 && step >= averageFrom * perEpoch)
        average = averagedWith(average, (await placement.copy(position)).theta);
      const done = { step, average, sums };
      yield {
        step,
        sums,
        state: async () => ({
          ...done,
          ...(await placement.copy(position)),
          estimator: await placement.copySearch(search),
        }),
        onHost: placement.onHost,
        epoch: step / perEpoch,
        epochEnded,
        images,
        scalars,
        learningRate,
        waited,
      };
      if (epochEnded) sums = NOTHING;
    }
    await placement.end(position, search);
  } finally {
    await loader.close();
  }
}

/** Sums weighted by images, so that the epoch's average does not depend on where batches were cut. */
function accumulate(
  sums: EpochSums,
  images: number,
  loss: number,
  metrics: Readonly<Record<string, number>>,
): EpochSums {
  const names = Object.keys(metrics);
  return {
    images: sums.images + images,
    loss: sums.loss + loss * images,
    metrics: Object.fromEntries(
      names.map((name) => [name, (sums.metrics[name] ?? 0) + (metrics[name] as number) * images]),
    ),
  };
}

/** Averages of an epoch's sums. */
export function averages({ images, loss, metrics }: EpochSums): {
  loss: number;
  metrics: Record<string, number>;
} {
  const scale = 1 / Math.max(images, 1);
  return {
    loss: loss * scale,
    metrics: Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, value * scale])),
  };
}
