/**
 * Seconds of a training step with CROWN on all cores: CNN3 on MNIST, batch 256, at initialisation and with
 * the parameters that quickstart trained; CNN5 on CIFAR-10, batch 128, at its initialisation, from 64 images.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPool, decodeParameters, flatten, loadDataset, parameterLayout } from 'tautnet';
import { medianTime } from './measure.mjs';
import { batchSeconds, RECIPES, trainingOf } from './training.mjs';
import { trainedRun } from './workloads.mjs';

/** Images of CNN5's batch that are timed, a call for each of two threads: a whole batch takes seconds. */
const PART = 64;

/** @returns seconds each, `trained` undefined without a quickstart run; and the threads */
export async function crownSteps() {
  const cnn3 = trainingOf({ ...RECIPES.cnn3, relaxation: 'crown' });
  const { threads } = cnn3.settings;
  const pool = createPool(threads);
  const step = async ({ settings, on, theta }) =>
    (await batchSeconds((count) => on(pool, count).gradient(theta), settings)).seconds;
  const initial = await step(cnn3);
  const trained = await trainedStep(step);
  const { settings, on, theta } = trainingOf({ ...RECIPES.cnn5, relaxation: 'crown' });
  const part = await medianTime(() => on(pool, PART).gradient(theta), 3);
  await pool.close();
  return { initial, trained, cnn5: (part / 1000) * (settings.batchSize / PART), threads };
}

/** The trained network on images that it was trained on: fewer of its neurons are unstable. */
async function trainedStep(step) {
  const run = trainedRun();
  if (run === undefined) return undefined;
  const { train } = await loadDataset('mnist');
  const training = trainingOf({ ...RECIPES.cnn3, relaxation: 'crown' }, train);
  const path = join(run, 'parameters.safetensors');
  const parameters = decodeParameters(training.network, readFileSync(path), path);
  return step({ ...training, theta: flatten(parameters, parameterLayout(training.network)) });
}
