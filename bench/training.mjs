/**
 * What the sections on whole training steps share: an objective as `tautnet train` makes it from settings, on
 * random images.
 *
 * Parameters are at their initialisation and ε at its full size, where the most neurons are unstable: tight
 * relaxations get cheaper in the course of training.
 */

import { adam, flatten, initialize, keyOf, parameterLayout, pooledObjective } from 'tautnet';
import { uniforms } from 'tautnet/runtime';
import { datasetNamed } from '../dist/data/datasets.js';
import { networkOf, trainingObjective } from '../dist/experiment/prepare-training.js';
import { resolveSettings } from '../dist/experiment/settings/resolve-settings.js';
import { devicePlacement } from '../dist/training/placement/device.js';
import { hostPlacement } from '../dist/training/placement/host.js';

/** The two networks at their recipes' batch. */
export const RECIPES = {
  cnn3: { dataset: 'mnist', architecture: 'cnn3' },
  cnn5: { dataset: 'cifar10', architecture: 'cnn5' },
};

/**
 * The training objective of settings on `count` images, random ones or the first of a data set's; `settings`
 * has every default.
 */
export function trainingOf(given, data) {
  const settings = resolveSettings(given);
  const dataset = datasetNamed(settings.dataset);
  const network = networkOf(settings, dataset);
  const layout = parameterLayout(network);
  const objective = trainingObjective(settings, network);
  const theta = flatten(initialize(network, settings.initialization, keyOf(0)), layout);
  const features = dataset.shape.reduce((a, b) => a * b);
  const batchOf = (count) => {
    if (data !== undefined)
      return {
        images: Float32Array.from(data.images.subarray(0, count * features), (value) => value / 255),
        labels: Int32Array.from(data.labels.subarray(0, count)),
      };
    const images = new Float32Array(count * features);
    uniforms(keyOf(3), images);
    return { images, labels: Int32Array.from({ length: count }, (_, i) => i % dataset.classes) };
  };
  const scalars = {
    epsilon: settings.epsilon,
    kappa: settings.kappa,
    regularization: settings.warmupRegularizer / 2,
  };
  const on = (pool, count) => pooledObjective(pool, objective, layout, batchOf(count), scalars, keyOf(5));
  /** One training step after the other on the same batch, θ where the library keeps it. */
  const stepper = async (pool, count, estimator) => {
    const [rule, batch] = [adam(), batchOf(count)];
    const options = { pool, objective, layout, estimator, rule, gradientClip: settings.gradientClip };
    const placement = devicePlacement(options) ?? hostPlacement(options);
    let position = await placement.begin({ theta, rule: rule.init(theta.length) });
    let [state, step] = [await placement.beginSearch(estimator.init(theta.length, layout)), 0];
    return async () => {
      const context = { key: keyOf(4), step: step++, epoch: 0, epochs: 1 };
      const estimate = await estimator.estimate(
        state,
        position.theta,
        placement.objective(batch, scalars, keyOf(5)),
        context,
      );
      ({ position } = await placement.descend(position, estimate.gradient, settings.learningRate));
      state = estimate.state;
    };
  };
  return { settings, network, objective, theta, on, stepper };
}

/** Seconds that a part of a batch may take for the whole batch to be run. */
const PATIENCE = 10;

/**
 * Seconds for a whole batch. `run(count)` computes the first `count` images of it. The programs are opened by
 * a run that is not counted; then one micro-batch for each thread is timed, and where the whole batch would
 * take long, it is taken to be so many times that.
 */
export async function batchSeconds(run, { batchSize, microBatch, threads }) {
  const part = Math.min(batchSize, microBatch * threads);
  await run(part);
  const estimate = (await seconds(() => run(part))) * (batchSize / part);
  if (estimate > PATIENCE) return { seconds: estimate, whole: part === batchSize };
  const times = [];
  for (
    const end = performance.now() + 1000 * PATIENCE;
    times.length < 5 && (times.length === 0 || performance.now() + 1000 * estimate < end);
  )
    times.push(await seconds(() => run(batchSize)));
  return { seconds: times.sort((a, b) => a - b)[times.length >> 1], whole: true };
}

async function seconds(run) {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

/** Three significant digits, never as a power of ten. */
export const digits = (value) =>
  value >= 100
    ? value.toFixed(0)
    : value >= 0.01
      ? Number(value.toPrecision(2)).toString()
      : value.toFixed(4);
