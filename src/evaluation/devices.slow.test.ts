import { afterAll, describe, expect, it } from 'vitest';
import { flatten, parameterLayout } from '../network/parameters.js';
import { createObjective } from '../objective/objective.js';
import { sabr } from '../objective/sabr.js';
import { relaxations } from '../relaxation/index.js';
import { createPool, type Pool } from '../runtime/pool/pool.js';
import { keyOf } from '../runtime/random/keys.js';
import type { Estimator } from '../smoothing/estimator.js';
import { pgpe } from '../smoothing/pgpe.js';
import { rgs } from '../smoothing/rgs.js';
import { deviceForTests } from '../testing/devices.js';
import { onHost } from '../testing/host-vector.js';
import { randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { randomParameters } from '../testing/random-networks.js';
import { smallNetwork } from '../testing/robust-objectives.js';
import { adam } from '../training/rules/adam.js';
import { pooledObjective } from './on-batch.js';

const present = await deviceForTests();
const pools = present ? [createPool(1), createPool(1, present)] : [];
afterAll(() => Promise.all(pools.map((pool) => pool.close())));

const layout = parameterLayout(smallNetwork);
const start = flatten(
  Object.fromEntries(
    Object.entries(randomParameters(smallNetwork, 3)).map(([name, values]) => [
      name,
      Float32Array.from(values),
    ]),
  ),
  layout,
);
const batch = {
  images: Float32Array.from(uniformNumbers('images', 4 * 16)),
  labels: randomLabels('labels', 4, smallNetwork.classes),
};

/** θ after three steps. */
async function trained(pool: Pool, estimator: Estimator, robust: object): Promise<Float32Array> {
  const objective = createObjective({ network: smallNetwork, microBatch: 4, ...robust });
  const rule = adam();
  let [state, theta, known] = [rule.init(start.length), start, estimator.init(start.length, layout)];
  for (let step = 0; step < 3; step++) {
    const at = pooledObjective(
      pool,
      objective,
      layout,
      batch,
      { epsilon: 0.1, kappa: 1, regularization: 0 },
      keyOf(2),
    );
    const estimate = await estimator.estimate(known, theta, at, { key: keyOf(4), step, epoch: 0, epochs: 1 });
    known = estimate.state;
    ({ state, theta } = rule.update(state, theta, onHost(estimate.gradient), 1e-3));
  }
  return theta;
}

describe.skipIf(present === undefined)(`a run moved from the CPU to ${present}`, () => {
  it.each([
    [
      'PGPE under CROWN, which takes several programs',
      pgpe({ samples: 4, sigma: 0.02 }),
      { relaxation: relaxations.crown },
    ],
    ['RGS under CROWN', rgs({ samples: 3, sigma: 0.02 }), { relaxation: relaxations.crown }],
    [
      'PGPE with SABR, whose attacks are of each member',
      pgpe({ samples: 4, sigma: 0.02 }),
      { robust: sabr({ lambda: 0.4 }) },
    ],
  ] as const)('follows the same trajectory to rounding: %s', async (_, estimator, robust) => {
    const [expected, made] = [
      await trained(pools[0] as Pool, estimator as Estimator, robust),
      await trained(pools[1] as Pool, estimator as Estimator, robust),
    ];
    expect(distance(made, expected)).toBeLessThan(1e-4);
    expect(distance(made, start)).toBeGreaterThan(1e-3);
  });
});
