import { afterAll, describe, expect, it } from 'vitest';
import { pooledObjective } from '../evaluation/on-batch.js';
import { reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain } from '../network/network.js';
import { parameterLayout } from '../network/parameters.js';
import { createObjective } from '../objective/objective.js';
import { relaxations } from '../relaxation/index.js';
import { createPool } from '../runtime/pool/pool.js';
import { keyOf } from '../runtime/random/keys.js';
import { onHost } from '../testing/host-vector.js';
import { normalNumbers, randomLabels, uniformNumbers } from '../testing/numbers.js';
import { none } from './none.js';
import { pgpe } from './pgpe.js';
import { rgs } from './rgs.js';

const pools = [1, 2].map((threads) => createPool(threads));
afterAll(() => Promise.all(pools.map((pool) => pool.close())));

const wide = [10, 1, 1] as const;
const network = chain(
  'fc [10, 10]',
  [4, 1, 1],
  [linearLayer([4, 1, 1], 10), reluLayer(wide), linearLayer(wide, 10), reluLayer(wide), linearLayer(wide, 3)],
);
const layout = parameterLayout(network);
const parameters = layout.reduce((sum, { size }) => sum + size, 0);
const theta = Float32Array.from(normalNumbers('theta', parameters), (z) => 0.5 * z);
const batch = {
  images: Float32Array.from(uniformNumbers('images', 6 * 4)),
  labels: randomLabels('labels', 6, 3),
};
const context = { key: keyOf(1), step: 0, epoch: 0, epochs: 1 };

const objectiveOf = (
  name: keyof typeof relaxations,
  epsilon: number,
  pool = pools[0] as (typeof pools)[number],
) =>
  pooledObjective(
    pool,
    createObjective({ network, relaxation: relaxations[name], microBatch: 3 }),
    layout,
    batch,
    { epsilon, kappa: 1, regularization: 0 },
  );
const estimator = pgpe({ samples: 3, sigma: 0.02 });
const estimate = (objective: ReturnType<typeof objectiveOf>) =>
  estimator.estimate(estimator.init(parameters, layout), theta, objective, context);

describe('bounds that a solver computes', () => {
  it.each(['lp', 'exact'] as const)(
    'give PGPE its gradient, the same bits whatever the number of workers: %s',
    async (name) => {
      const [one, two] = await Promise.all(pools.map((pool) => estimate(objectiveOf(name, 0.1, pool))));
      expect(onHost(one?.gradient).some((g) => g !== 0)).toBe(true);
      expect(two).toEqual(one);
    },
  );

  it('order the losses that PGPE sees: exact ≤ lp ≤ alpha-crown ≤ crown', async () => {
    const names = ['exact', 'lp', 'alpha-crown', 'crown'] as const;
    const losses: number[] = [];
    for (const name of names) losses.push((await estimate(objectiveOf(name, 0.1))).loss);
    for (const [i, loss] of losses.slice(1).entries())
      expect(loss, names[i + 1]).toBeGreaterThan((losses[i] as number) - 1e-6);
    expect(losses[0]).toBeLessThan((losses[3] as number) - 1e-3);
  });

  it.each([0, 1e-7, 1e-4])(
    'are the natural loss at the start of a warm-up, where rounding decides which neurons are unstable: ε = %d',
    async (epsilon) => {
      const natural = (
        await estimate(
          pooledObjective(
            pools[0] as (typeof pools)[number],
            createObjective({ network, microBatch: 6 }),
            layout,
            batch,
            {
              epsilon: 0,
              kappa: 0,
              regularization: 0,
            },
          ),
        )
      ).loss;
      for (const name of ['lp', 'exact'] as const)
        expect(Math.abs((await estimate(objectiveOf(name, epsilon))).loss - natural)).toBeLessThan(
          1e-5 + 30 * epsilon,
        );
    },
  );

  it.each([
    ['none', none()],
    ['rgs', rgs({ samples: 1, sigma: 0.1 })],
  ])('are refused by estimators that take gradients: %s', async (_, taking) => {
    await expect(
      taking.estimate(taking.init(parameters, layout) as never, theta, objectiveOf('lp', 0.1), context),
    ).rejects.toThrow(/its relaxation is not differentiable; use the estimator pgpe$/);
  });
});
