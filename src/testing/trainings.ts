/** Short trainings of a small network on images drawn at random, through the library's own loop. */
import { flatten, parameterLayout } from '../network/parameters.js';
import { createObjective } from '../objective/objective.js';
import type { Pool } from '../runtime/pool/pool.js';
import { keyOf } from '../runtime/random/keys.js';
import { type Estimator, none } from '../smoothing/index.js';
import {
  initialState,
  type StepReport,
  type TrainingOptions,
  type TrainingState,
  training,
} from '../training/loop.js';
import { adam } from '../training/rules/adam.js';
import type { UpdateRule } from '../training/rules/update-rule.js';
import { constant } from '../training/schedules.js';
import { randomLabels, uniformNumbers } from './numbers.js';
import { randomParameters } from './random-networks.js';
import { smallNetwork } from './robust-objectives.js';

export const IMAGES = 8;
const FEATURES = 16;
const layout = parameterLayout(smallNetwork);

export interface ShortTraining {
  readonly pool: Pool;
  readonly robust: Omit<Parameters<typeof createObjective>[0], 'network' | 'microBatch'>;
  readonly estimator?: Estimator;
  readonly rule?: UpdateRule;
  readonly gradientClip?: number;
  readonly epochs?: number;
  readonly averageFrom?: number;
  readonly averageEvery?: number;
  readonly objectiveAt?: TrainingOptions['objectiveAt'];
}

/** Two steps of four images an epoch. */
export function shortTraining({
  pool,
  robust,
  estimator,
  rule,
  gradientClip = 0,
  epochs = 2,
  averageFrom,
  averageEvery,
  objectiveAt,
}: ShortTraining): TrainingOptions {
  return {
    train: {
      images: Uint8Array.from(uniformNumbers('training images', IMAGES * FEATURES), (x) => 255 * x),
      labels: randomLabels('training labels', IMAGES, smallNetwork.classes),
      count: IMAGES,
    },
    features: FEATURES,
    objective: createObjective({ network: smallNetwork, microBatch: 2, ...robust }),
    layout,
    estimator: estimator ?? (none() as Estimator),
    rule: rule ?? (adam() as UpdateRule),
    pool,
    batchSize: IMAGES / 2,
    epochs,
    gradientClip,
    averageFrom,
    averageEvery,
    objectiveAt,
    learningRate: constant(1e-3),
    epsilon: constant(0.1),
    kappa: constant(1),
    regularization: constant(0),
    key: keyOf(4),
  };
}

export const firstState = (options: TrainingOptions): TrainingState =>
  initialState(
    options,
    flatten(
      Object.fromEntries(
        Object.entries(randomParameters(smallNetwork, 3)).map(([name, values]) => [
          name,
          Float32Array.from(values),
        ]),
      ),
      layout,
    ),
  );

/** The state after the last step; `watch` sees each. */
export async function lastState(
  options: TrainingOptions,
  from = firstState(options),
  watch: (report: StepReport) => unknown = () => undefined,
): Promise<TrainingState> {
  let state = from;
  for await (const report of training(options, from)) {
    state = await report.state();
    await watch(report);
  }
  return state;
}
