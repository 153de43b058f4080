/** Training as one call without a run folder: where there are no files, in a browser. */
import type { DatasetDescription, Split } from '../data/dataset.js';
import { architecture } from '../network/architectures.js';
import { batchNormNodes } from '../network/folding.js';
import { initialize } from '../network/initialization.js';
import type { Network } from '../network/network.js';
import { flatten, type ParameterArrays, parameterLayout, views } from '../network/parameters.js';
import { createObjective } from '../objective/objective.js';
import { interval } from '../relaxation/interval.js';
import { createPool, type Pool } from '../runtime/pool/pool.js';
import { deriveKey, keyOf } from '../runtime/random/keys.js';
import type { Estimator } from '../smoothing/estimator.js';
import { rgs } from '../smoothing/rgs.js';
import { initialState, type TrainingOptions, training } from '../training/loop.js';
import { adam } from '../training/rules/adam.js';
import { constant, cosine, smoothWarmup } from '../training/schedules.js';
import { evaluateSplit } from '../training/validation.js';

/** Purposes that the seed is split for; a purpose never changes its number. */
const STREAMS = { initialization: 1, training: 2 } as const;
/** Part of the epochs in which ε grows. */
const WARM = 0.4;

/** What a network is trained on, and how; all but the data has a default. */
export interface MemoryTraining {
  /** Images to train on, and others to measure on. */
  readonly train: Split;
  readonly held: Split;
  readonly description: Pick<DatasetDescription, 'shape' | 'classes' | 'mean' | 'std'>;
  /** A name such as cnn3, or a description of layers (default cnn3-narrow). */
  readonly architecture?: string;
  /** Radius in pixels of [0, 1] (default 0.1). */
  readonly epsilon?: number;
  readonly epochs?: number;
  readonly batchSize?: number;
  /** At the start; it falls to zero (default 0.01). */
  readonly learningRate?: number;
  /** RGS: gradients per step, and σ in units of θ (default 2 and 0.001). */
  readonly samples?: number;
  readonly sigma?: number;
  readonly seed?: number;
  /** Told after each epoch. */
  readonly watch?: (course: EpochCourse) => void;
}

/** Where a training is after an epoch; accuracies on the images held out, in [0, 1]. */
export interface EpochCourse {
  /** Epochs done, and in all. */
  readonly epoch: number;
  readonly epochs: number;
  /** Mean of the robust loss over the epoch's batches. */
  readonly loss: number;
  readonly natural: number;
  /** By IBP at the radius asked for. */
  readonly certified: number;
  /** Radius that the epoch ended with. */
  readonly epsilon: number;
}

/** A network as its ONNX file has it. */
export interface TrainedInMemory {
  readonly network: Network;
  readonly parameters: ParameterArrays;
}

/**
 * Trains on a few images in memory by IBP (Gowal et al. 2018) with RGS, the mean of gradients at perturbed
 * parameters: θ ← Adam(θ, 1/n Σ_i ∇L(θ + σz_i)), ε growing over the first epochs. The same options give the
 * same bits wherever ONNX Runtime's arithmetic does.
 *
 * @throws DivergenceError for a learning rate that is too large; RangeError for an architecture that is
 *  unknown or has batch normalisation
 * @example
 * ```js
 * const description = { shape: [1, 28, 28], classes: 10, mean: [0.1307], std: [0.3081] };
 * const watch = ({ epoch, certified }) => console.log(epoch, certified);
 * const { network, parameters } = await trainInMemory({ train, held, description, epochs: 10, watch });
 * ```
 */
export async function trainInMemory(given: MemoryTraining): Promise<TrainedInMemory> {
  const pool = createPool();
  try {
    return await trainOn(pool, given);
  } finally {
    await pool.close();
  }
}

function optionsOf(pool: Pool, net: Network, given: MemoryTraining): TrainingOptions {
  const { train, epsilon = 0.1, epochs = 15, batchSize = 50, learningRate = 0.01 } = given;
  const batch = Math.min(batchSize, train.count);
  const radius = smoothWarmup({ start: 0, end: WARM * epochs, from: 0, to: epsilon });
  const smoothing = rgs({ samples: given.samples ?? 2, sigma: given.sigma ?? 1e-3 });
  return {
    train,
    features: train.images.length / train.count,
    objective: createObjective({
      network: net,
      relaxation: interval,
      microBatch: batch,
      warmupRegularizer: true,
    }),
    layout: parameterLayout(net),
    estimator: smoothing as unknown as Estimator,
    rule: adam(),
    pool,
    gradientClip: 10,
    batchSize: batch,
    epochs,
    learningRate: cosine({ start: WARM * epochs, end: epochs, from: learningRate, to: 0 }),
    epsilon: radius,
    kappa: constant(1),
    regularization: (epoch) => 0.5 * (1 - radius(epoch) / epsilon),
    key: deriveKey(keyOf(given.seed ?? 0), STREAMS.training, 0),
  };
}

async function trainOn(pool: Pool, given: MemoryTraining): Promise<TrainedInMemory> {
  const { held, description, epsilon = 0.1, seed = 0, watch } = given;
  const { shape, classes, mean, std } = description;
  const net = architecture(given.architecture ?? 'cnn3-narrow', shape, classes, { mean, std });
  if (batchNormNodes(net).length > 0)
    throw new RangeError(
      `trainInMemory: expected an architecture without batch normalisation, got ${net.name}; take one ` +
        'without -bn',
    );
  const layout = parameterLayout(net);
  const options = optionsOf(pool, net, given);
  const { objective, epochs } = options;
  const first = initialize(net, 'ibp', deriveKey(keyOf(seed), STREAMS.initialization, 0));
  let theta = flatten(first, layout);
  for await (const report of training(options, initialState(options, theta))) {
    if (!report.epochEnded) continue;
    theta = (await report.state()).theta;
    if (watch === undefined) continue;
    const scalars = { epsilon, kappa: 1, regularization: 0 };
    const measured = await evaluateSplit(pool, objective, layout, theta, held, scalars);
    watch({
      epoch: report.epoch,
      epochs,
      loss: report.sums.loss / report.sums.images,
      natural: measured.natural as number,
      certified: measured.certified as number,
      epsilon: report.scalars.epsilon,
    });
  }
  return { network: net, parameters: views(theta, layout) };
}
