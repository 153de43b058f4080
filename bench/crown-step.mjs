/** Seconds of a training step with CROWN on all cores: CNN3 on MNIST, batch 256, at its initialisation. */
import { createPool } from 'tautnet';
import { batchSeconds, RECIPES, trainingOf } from './training.mjs';

export async function crownStep() {
  const { settings, theta, on } = trainingOf({ ...Object.values(RECIPES)[0], relaxation: 'crown' });
  const pool = createPool(settings.threads);
  const { seconds } = await batchSeconds((count) => on(pool, count).gradient(theta), settings);
  await pool.close();
  return { seconds, threads: settings.threads };
}
