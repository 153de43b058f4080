/**
 * What the settings of a run amount to before its first step: data, network, objective, estimator and rule
 * put together.
 */
import { augmentationNamed } from '../data/augmentation.js';
import type { Dataset, Split } from '../data/dataset.js';
import type { DownloadProgress } from '../data/fetch/download.js';
import { splitValidation } from '../data/validation.js';
import { microBatchStarts } from '../evaluation/batch-feeds.js';
import { architecture } from '../network/architectures.js';
import { batchNormNodes, foldedNetwork } from '../network/folding.js';
import { initialize } from '../network/initialization.js';
import type { Network } from '../network/network.js';
import { flatten, type ParameterArrays, parameterLayout } from '../network/parameters.js';
import { createObjective, type Objective, type ObjectiveOptions } from '../objective/objective.js';
import type { RobustLoss } from '../objective/robust-loss.js';
import { relaxationNamed } from '../relaxation/index.js';
import { mixture } from '../relaxation/mixture.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import type { Pool } from '../runtime/pool/pool.js';
import { deriveKey, keyOf } from '../runtime/random/keys.js';
import { createEstimator, type Estimator } from '../smoothing/index.js';
import { createDeployedNetwork, type DeployedNetwork } from '../training/deployed-network.js';
import { initialState, type TrainingOptions, type TrainingState } from '../training/loop.js';
import { rules } from '../training/rules/index.js';
import { constant, linear, type Schedule, smoothWarmup, stepDecay } from '../training/schedules.js';
import { evaluateSplit, type UnstableShares, unstableShares } from '../training/validation.js';
import { UsageError } from './errors.js';
import { readDataset } from './read-dataset.js';
import { estimatorOptions } from './settings/estimator-settings.js';
import type { Settings } from './settings/settings.js';
import { trainingEpsilon } from './settings/training-epsilon.js';
import { robustLossOf, warmupLossOf } from './training-method.js';

/** Purposes that a run's seed is split for; a purpose never changes its number. */
const STREAMS = { initialization: 1, training: 2, validation: 3, validationAttacks: 4 } as const;

/**
 * The network that settings describe, for a data set, as it is trained; what is exported is `foldedNetwork`
 * of it.
 */
export function networkOf(
  settings: Pick<Settings, 'architecture' | 'normalize'>,
  dataset: Pick<Dataset, 'shape' | 'classes' | 'mean' | 'std'>,
): Network {
  const normalization = settings.normalize ? { mean: dataset.mean, std: dataset.std } : undefined;
  return architecture(settings.architecture, dataset.shape, dataset.classes, normalization);
}

/** The parameters that a run begins with. */
export const initialParameters = (
  { initialization, seed }: Pick<Settings, 'initialization' | 'seed'>,
  network: Network,
): ParameterArrays => initialize(network, initialization, deriveKey(keyOf(seed), STREAMS.initialization, 0));

/** ε, κ, λ and the learning rate as functions of the epoch. */
export function trainingObjectiveSchedules(
  settings: Settings,
): Pick<TrainingOptions, 'epsilon' | 'kappa' | 'regularization' | 'learningRate'> {
  const { warmupStart: start, warmupEpochs, kappa, kappaStart, warmupRegularizer } = settings;
  const epsilon = trainingEpsilon(settings);
  const end = start + warmupEpochs;
  const warm = (make: typeof linear, from: number, to: number): Schedule =>
    warmupEpochs > 0 ? make({ start, end, from, to }) : constant(to);
  const radius = warm(smoothWarmup, 0, epsilon);
  return {
    epsilon: radius,
    kappa: kappa === kappaStart ? constant(kappa) : warm(linear, kappaStart, kappa),
    regularization: (epoch) => warmupRegularizer * (1 - radius(epoch) / epsilon),
    learningRate: stepDecay(settings.learningRate, {
      at: settings.learningRateDecayEpochs,
      factor: settings.learningRateDecayFactor,
    }),
  };
}

const firstImages = ({ images, labels, count }: Split, limit: number): Split => ({
  images: images.subarray(0, (images.length / count) * limit),
  labels: labels.subarray(0, limit),
  count: limit,
});

/** What all objectives of a run have in common. */
const commonOptions = (settings: Settings, network: Network): ObjectiveOptions => ({
  network,
  relaxation: settings.relaxation === 'none' ? undefined : relaxationNamed(settings.relaxation),
  microBatch: Math.min(settings.microBatch, settings.batchSize),
  clipBox: settings.clipBox,
  // A batch in one call has its statistics in its program.
  statistics: settings.microBatch < settings.batchSize ? settings.batchStatistics : 'micro-batch',
});

/**
 * What the settings' training minimises in the end, on the network that they describe; or an objective with
 * another robust loss but the same weights and regularisers.
 */
export function trainingObjective(
  settings: Settings,
  network: Network,
  robust: RobustLoss | undefined = robustLossOf(settings, commonOptions(settings, network).relaxation),
): Objective {
  const common = commonOptions(settings, network);
  const onlyRobust = settings.kappa === 1 && settings.kappaStart === 1;
  return createObjective({
    ...common,
    robust,
    natural: onlyRobust && robust !== undefined ? 'accuracy' : 'loss',
    l1: settings.l1,
    warmupRegularizer: settings.warmupRegularizer > 0,
  });
}

/**
 * What is minimised at each epoch where that is not always the same: before a method begins, its warm-up;
 * while β of a curriculum is below 1, the loose bound or the mixture.
 */
export function objectivesOf(
  settings: Settings,
  network: Network,
  last: Objective,
): Pick<TrainingOptions, 'objectiveAt' | 'beta'> {
  const { relaxation, curriculum, curriculumStart: start, curriculumEpochs, tapsStart } = settings;
  if (curriculum !== 'none') {
    const [loose, tight] = [relaxationNamed(curriculum), relaxationNamed(relaxation)];
    const end = start + curriculumEpochs;
    const beta: Schedule = (epoch) =>
      epoch >= end ? 1 : epoch <= start ? 0 : (epoch - start) / (end - start);
    const of = (bound: Relaxation) => trainingObjective(settings, network, robustLossOf(settings, bound));
    const [first, between] = [of(loose), of(mixture(loose, tight))];
    const objectiveAt = (epoch: number) => (beta(epoch) === 1 ? last : beta(epoch) === 0 ? first : between);
    return { objectiveAt, beta };
  }
  const warmup = warmupLossOf(settings, commonOptions(settings, network).relaxation);
  if (warmup === undefined) return {};
  const first = trainingObjective(settings, network, warmup);
  return { objectiveAt: (epoch) => (epoch < tapsStart ? first : last) };
}

/** The bound whose gradient stands for that of a bound by a solver. */
const GUIDE = relaxationNamed('crown');

/** What gives a control variate where the objective has no gradient: the same loss, bounded by CROWN. */
export function guidingObjective(settings: Settings, network: Network): Objective | undefined {
  const { relaxation, controlVariate, smoothing } = settings;
  const isNeeded = smoothing === 'pgpe' && controlVariate !== 'none' && relaxation !== 'none';
  if (!isNeeded || relaxationNamed(relaxation).differentiable) return undefined;
  return trainingObjective({ ...settings, relaxation: GUIDE.name }, network);
}

/** What an epoch's network is like. */
export interface Validated {
  /** Loss and metrics on the held-out images; empty without any. */
  readonly held: Readonly<Record<string, number>>;
  /** Share of unstable neurons of each ReLU layer, in [0, 1], on a few images. */
  readonly unstable: readonly number[];
}

/** What a settings object amounts to before any step is taken. */
export interface Experiment {
  /** The network that is evaluated and exported, and its parameters at θ. */
  readonly deployed: DeployedNetwork;
  readonly options: TrainingOptions;
  readonly validation: Split | undefined;
  /**
   * Evaluates θ at the full ε, batch normalisation with the statistics of the training images: the objective
   * on the held-out images, and the shares of unstable neurons.
   */
  readonly validate: (theta: Float32Array) => Promise<Validated>;
  readonly first: TrainingState;
}

/**
 * What is measured on validation images: what the relaxation certifies and, where that is not it, the
 * method's own loss and attack.
 */
function watchedObjectives(common: ObjectiveOptions, robust: RobustLoss | undefined): Objective[] {
  const own = createObjective({ ...common, robust });
  const certifies = common.relaxation === undefined || own.counts.includes('certified');
  return certifies ? [own] : [createObjective(common), own];
}

/** Images at most whose neurons are watched. */
const NEURON_IMAGES = 32;

/**
 * What counts unstable neurons after each epoch: on held-out images, else on training images. Left out where
 * that alone would ask for statistics of all training images.
 */
function watchedNeurons(
  { epsilon, clipBox, microBatch }: Settings,
  network: Network,
  { train, validation }: { readonly train: Split; readonly validation: Split | undefined },
  pool: Pool,
): UnstableShares | undefined {
  const split = validation ?? train;
  const count = Math.min(NEURON_IMAGES, microBatch, split.count);
  return unstableShares(pool, network, firstImages(split, count), { epsilon, clip: clipBox });
}

/**
 * @throws UsageError, DataError, FileError: whatever can be refused is refused here, before any work starts
 */
export async function prepare(
  settings: Settings,
  pool: Pool,
  data?: (state: DownloadProgress) => void,
  signal?: AbortSignal,
): Promise<Experiment> {
  const { dataDir, pool: pooling } = settings;
  const dataset = await readDataset(settings.dataset, { dataDir, pool: pooling, progress: data, signal });
  const limit = settings.trainLimit ?? dataset.train.count;
  if (limit > dataset.train.count)
    throw new UsageError(
      `--train-limit: expected at most the ${dataset.train.count} training images of ${dataset.name}, ` +
        `got ${limit}`,
    );
  if (settings.validation >= limit)
    throw new UsageError(
      `--validation: expected fewer than the ${limit} training images, got ${settings.validation}; ` +
        'nothing would be left',
    );
  const all = firstImages(dataset.train, limit);
  const key = keyOf(settings.seed);
  const split =
    settings.validation > 0
      ? splitValidation(all, settings.validation, deriveKey(key, STREAMS.validation, 0))
      : { train: all, validation: undefined };
  const network = networkOf(settings, dataset);
  const layout = parameterLayout(network);
  const common = commonOptions(settings, network);
  const objective = trainingObjective(settings, network);
  // A loss at once is cheaper to train with; what is certified is better measured with all margins.
  const folded: ObjectiveOptions = { ...common, network: foldedNetwork(network) };
  const watched =
    split.validation &&
    watchedObjectives(folded, robustLossOf({ ...settings, lossFusion: false }, common.relaxation));
  const options: TrainingOptions = {
    train: split.train,
    features: split.train.images.length / split.train.count,
    augmentation: augmentationNamed(settings.augmentation, dataset.shape),
    objective,
    guide: guidingObjective(settings, network),
    layout,
    estimator: createEstimator(settings.smoothing, estimatorOptions(settings)) as Estimator,
    rule: rules[settings.optimizer](),
    pool,
    batchSize: Math.min(settings.batchSize, split.train.count),
    epochs: settings.epochs,
    gradientClip: settings.gradientClip,
    averageFrom: settings.swaStart,
    averageEvery: settings.swaEvery,
    key: deriveKey(key, STREAMS.training, 0),
    ...objectivesOf(settings, network, objective),
    ...trainingObjectiveSchedules(settings),
  };
  checkStatistics(options, settings.architecture);
  const deployed = createDeployedNetwork({
    network,
    train: split.train,
    microBatch: common.microBatch,
    pool,
  });
  const theta = flatten(initialParameters(settings, network), layout);
  const isFree = split.validation !== undefined || batchNormNodes(network).length === 0;
  const neurons = isFree ? watchedNeurons(settings, deployed.network, split, pool) : undefined;
  return {
    deployed,
    options,
    validation: split.validation,
    first: initialState(options, theta),
    async validate(point) {
      const held: Record<string, number> = {};
      const scalars = { epsilon: settings.epsilon, kappa: settings.kappa, regularization: 0 };
      if (neurons === undefined && split.validation === undefined) return { held, unstable: [] };
      const parameters = await deployed.folded(point);
      for (const each of watched ?? [])
        Object.assign(
          held,
          await evaluateSplit(
            pool,
            each,
            deployed.layout,
            parameters,
            split.validation as Split,
            scalars,
            deriveKey(key, STREAMS.validationAttacks, 0),
          ),
        );
      return { held, unstable: (await neurons?.(parameters, deployed.layout)) ?? [] };
    },
  };
}

/**
 * Batch normalisation takes the deviation of a channel from at least two images. @throws UsageError if a step
 * has a micro-batch of one
 */
function checkStatistics({ train, batchSize, objective }: TrainingOptions, name: string): void {
  if (objective.statistics !== undefined && (batchSize === 1 || train.count % batchSize === 1))
    throw new UsageError(
      `--batch-size: expected at least 2 images in each batch, which batch normalisation takes its ` +
        `statistics from, got 1 with ${name}, ${train.count} images in batches of ${batchSize}; change it`,
    );
  if (!objective.batchStatistics) return;
  for (const images of new Set([batchSize, train.count % batchSize || batchSize])) {
    const starts = microBatchStarts(objective, images);
    const smallest = Math.min(...starts.map((start, i) => (starts[i + 1] ?? images) - start));
    if (smallest < 2)
      throw new UsageError(
        '--batch-size: expected at least 2 images in each micro-batch, which batch normalisation takes ' +
          `its statistics from, got ${smallest} with ${name}, ${train.count} images in batches of ` +
          `${batchSize} and --micro-batch ${objective.microBatch}; change one of them`,
      );
  }
}
