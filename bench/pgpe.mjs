/**
 * PGPE evaluations per second with one and with two one-thread workers, and the share of the step that
 * drawing normals takes.
 */

import {
  architecture,
  createObjective,
  createPool,
  deriveKey,
  flatten,
  initialize,
  keyOf,
  parameterLayout,
  pooledObjective,
  relaxations,
} from 'tautnet';
import { accumulateNormals, perturbPair, uniforms } from 'tautnet/runtime';
import { medianTime } from './measure.mjs';

const PAIRS = 16;
/** Calls that are timed: the first ones, of code that is not compiled yet, take several times as long. */
const CALLS = 15;
const BATCH = 256;

export async function pgpe() {
  const network = architecture('cnn3', [1, 28, 28], 10);
  const layout = parameterLayout(network);
  const theta = flatten(initialize(network, 'kaiming', keyOf(0)), layout);
  const objective = createObjective({
    network,
    relaxation: relaxations.ibp,
    microBatch: 64,
    natural: 'none',
  });
  const images = new Float32Array(BATCH * 784);
  uniforms(keyOf(3), images);
  const labels = Int32Array.from({ length: BATCH }, (_, i) => i % 10);
  const keys = Array.from({ length: PAIRS }, (_, i) => deriveKey(keyOf(4), i, 0));
  const pools = [1, 2].map((threads) => ({
    threads,
    pool: createPool(threads),
    seconds: Number.POSITIVE_INFINITY,
  }));
  for (let round = 0; round < 5; round++)
    for (const entry of pools) {
      const batch = pooledObjective(
        entry.pool,
        objective,
        layout,
        { images, labels },
        { epsilon: 0.1, kappa: 1, regularization: 0 },
      );
      const start = performance.now();
      await batch.pairs(theta, { keys, sigma: 1e-3 });
      const seconds = (performance.now() - start) / 1000;
      if (round > 0) entry.seconds = Math.min(entry.seconds, seconds);
    }
  await Promise.all(pools.map(({ pool }) => pool.close()));
  const rate = ({ seconds }) => (2 * PAIRS) / seconds;

  // Each z is drawn twice a step: for its pair, in the worker, and for the weighted sum.
  const weights = new Float64Array(PAIRS).fill(1);
  const sum = await medianTime(() => accumulateNormals(keys, weights, undefined, 0, theta.length), CALLS);
  const [plus, minus] = [theta.slice(), theta.slice()];
  const pairs = await medianTime(() => {
    for (const key of keys) perturbPair(theta, key, 1e-3, plus, minus);
  }, CALLS);
  return {
    one: rate(pools[0]),
    two: rate(pools[1]),
    scaling: rate(pools[1]) / rate(pools[0]),
    normals: (sum + pairs) / (sum + 1000 * pools[0].seconds),
  };
}
