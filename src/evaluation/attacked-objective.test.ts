import { afterAll, describe, expect, it } from 'vitest';
import { architecture } from '../network/architectures.js';
import { initialize } from '../network/initialization.js';
import { flatten, parameterLayout } from '../network/parameters.js';
import { mtlIbp } from '../objective/mtl-ibp.js';
import { createObjective, type Objective } from '../objective/objective.js';
import { pgdTraining } from '../objective/pgd-training.js';
import type { RobustLoss } from '../objective/robust-loss.js';
import { staps } from '../objective/staps.js';
import { createPool } from '../runtime/pool/pool.js';
import { deriveKey, type Key, keyOf, perturb } from '../runtime/random/keys.js';
import { randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import type { PooledBatch } from './batch-feeds.js';
import { pooledObjective } from './on-batch.js';
import type { HostGradient } from './sums.js';

const pools = [1, 2].map((threads) => createPool(threads));
const [pool] = pools as [(typeof pools)[number]];
afterAll(() => Promise.all(pools.map((open) => open.close())));

const network = architecture('cnn3', [1, 8, 8], 3);
const layout = parameterLayout(network);
const theta = flatten(initialize(network, 'kaiming', keyOf(1)), layout);
const batch: PooledBatch = {
  images: Float32Array.from(uniformNumbers('images', 7 * 64)),
  labels: randomLabels('labels', 7, 3),
};
const scalars = { epsilon: 0.1, kappa: 1, regularization: 0 };
const key = keyOf('attacks');
const perturbations = { keys: [0, 1].map((sample) => deriveKey(keyOf(5), 0, sample)), sigma: 0.02 };
const objectiveOf = (robust: RobustLoss, microBatch = 4): Objective =>
  createObjective({ network, robust, microBatch });

describe('an objective with attacks evaluated by a pool', () => {
  it.each<[string, RobustLoss]>([
    ['pgd', pgdTraining()],
    ['mtl-ibp', mtlIbp({ alpha: 0.2 })],
    ['staps', staps({ block: 1, lambda: 0.5 })],
  ])('gives the same bits for any number of workers, at θ and around it: %s', async (_, method) => {
    const objective = objectiveOf(method);
    const [one, two] = await Promise.all(
      pools.map(async (by) => {
        const pooled = pooledObjective(by, objective, layout, batch, scalars, key);
        const { plus, minus, metrics } = await pooled.pairs(theta, perturbations);
        return [
          await pooled.gradient(theta),
          await pooled.meanGradient(theta, perturbations),
          { plus, minus, metrics },
        ];
      }),
    );
    expect(two).toEqual(one);
  });

  it('starts each image at its own place, whatever micro-batch it is in', async () => {
    const results = await Promise.all(
      [2, 4, 7].map((microBatch) =>
        pooledObjective(
          pool,
          objectiveOf(pgdTraining({ steps: 1 }), microBatch),
          layout,
          batch,
          scalars,
          key,
        ).gradient(theta),
      ),
    );
    const [first, ...others] = results as [HostGradient, ...HostGradient[]];
    for (const other of others) {
      expect(other.loss).toBeCloseTo(first.loss, 5);
      expect(distance(other.gradient, first.gradient)).toBeLessThan(5e-6);
    }
  });

  it('starts elsewhere with another key', async () => {
    const objective = objectiveOf(pgdTraining({ steps: 1, stepSize: 1e-3 }));
    const [a, b] = await Promise.all(
      [key, keyOf('others')].map((from) =>
        pooledObjective(pool, objective, layout, batch, scalars, from).gradient(theta),
      ),
    );
    expect(a?.loss).not.toBe(b?.loss);
  });

  it('attacks anew at each perturbed θ', async () => {
    const objective = objectiveOf(pgdTraining());
    const moved = new Float32Array(theta.length);
    const one = { ...perturbations, keys: perturbations.keys.slice(0, 1) };
    perturb(theta, one.keys[0] as Key, one.sigma, 1, moved);
    const pooled = pooledObjective(pool, objective, layout, batch, scalars, key);
    expect(await pooled.meanGradient(theta, one)).toEqual(await pooled.gradient(moved));
  });

  it('says that a key is needed', () => {
    expect(() => pooledObjective(pool, objectiveOf(pgdTraining()), layout, batch, scalars)).toThrow(
      'expected a key for the random starts',
    );
  });
});
