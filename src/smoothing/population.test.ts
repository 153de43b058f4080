import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { flatten, parameterLayout } from '../network/parameters.js';
import { createObjective, type Objective } from '../objective/objective.js';
import { sabr } from '../objective/sabr.js';
import { type RelaxationName, relaxations } from '../relaxation/index.js';
import { createPool, type Pool } from '../runtime/pool.js';
import { deriveKey, keyOf } from '../runtime/random.js';
import { deviceForTests } from '../testing/devices.js';
import { randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { randomParameters } from '../testing/random-networks.js';
import { smallNetwork } from '../testing/robust-objectives.js';
import { pgpe } from './pgpe.js';
import { type PooledOptions, pooledObjective } from './pooled-objective.js';
import { callSize, populationPlan } from './population.js';

const present = await deviceForTests();
const cpu = createPool(1);
const device = present && createPool(1, present);
afterAll(() => Promise.all([cpu.close(), device?.close()]));

const IMAGES = 5;
const layout = parameterLayout(smallNetwork);
const theta = flatten(Object.fromEntries(Object.entries(randomParameters(smallNetwork, 3)).map(([name, values]) => [name, Float32Array.from(values)])), layout);
const batch = { images: Float32Array.from(uniformNumbers('images', IMAGES * 16)), labels: randomLabels('labels', IMAGES, smallNetwork.classes) };
const perturbations = (count: number, sigma: number | Float32Array) => Array.from({ length: count }, (_, i) => ({ key: deriveKey(keyOf(7), 0, i), sigma }));
const spread = Float32Array.from({ length: theta.length }, (_, i) => 0.02 + 0.01 * Math.sin(i));

const objectiveOf = (options: object): Objective => createObjective({ network: smallNetwork, microBatch: 3, ...options });
const at = (pool: Pool, objective: Objective, options?: PooledOptions) =>
  pooledObjective(pool, objective, layout, batch, { epsilon: 0.1, kappa: 0.7, regularization: 0 }, keyOf(2), options);

describe('perturbations evaluated together', () => {
  it.each(['ibp', 'crown-ibp', 'crown'] satisfies RelaxationName[])('have the losses and gradients that they have one by one: %s', async (name) => {
    const objective = objectiveOf({ relaxation: relaxations[name] });
    for (const [sigma, count, perCall] of [
      [0.05, 5, 2],
      [spread, 3, 8],
    ] as const) {
      const given = perturbations(count, sigma);
      const [alone, together] = [at(cpu, objective), at(cpu, objective, { perCall })];
      const [one, many] = [await alone.pairs(theta, given), await together.pairs(theta, given)];
      expect(distance(many.plus, one.plus)).toBeLessThan(1e-5);
      expect(distance(many.minus, one.minus)).toBeLessThan(1e-5);
      expect(Object.keys(many.metrics)).toEqual(Object.keys(one.metrics));
      for (const [metric, value] of Object.entries(one.metrics)) expect(many.metrics[metric]).toBeCloseTo(value, 2);
      const [gradients, expected] = [await together.gradients(theta, given), await alone.gradients(theta, given)];
      expect(gradients).toHaveLength(count);
      for (const [i, { loss, gradient }] of expected.entries()) {
        expect(gradients[i]?.loss).toBeCloseTo(loss, 4);
        expect(distance(gradients[i]?.gradient as Float32Array, gradient)).toBeLessThan(1e-3);
      }
    }
  });

  it('are attacked from the same points as one by one', async () => {
    const objective = objectiveOf({ robust: sabr({ lambda: 0.4 }) });
    const given = perturbations(4, 0.05);
    const [one, many] = [await at(cpu, objective).pairs(theta, given), await at(cpu, objective, { perCall: 3 }).pairs(theta, given)];
    expect(distance(many.plus, one.plus)).toBeLessThan(1e-4);
  });

  it('are those of one plan, made once', () => {
    const objective = objectiveOf({ relaxation: relaxations.ibp });
    expect(populationPlan(objective, 'pairs', 4, 1)).toBe(populationPlan(objective, 'pairs', 4, 1));
    expect(populationPlan(objective, 'pairs', 4, 'each')).not.toBe(populationPlan(objective, 'pairs', 4, 1));
  });

  it('are computed one by one where they differ in σ, and where a solver outside the graph has a part', async () => {
    const objective = objectiveOf({ relaxation: relaxations.ibp });
    const mixed = [...perturbations(1, 0.05), ...perturbations(2, 0.01)];
    expect(await at(cpu, objective, { perCall: 4 }).pairs(theta, mixed)).toEqual(await at(cpu, objective).pairs(theta, mixed));
    expect(populationPlan(objectiveOf({ relaxation: relaxations.lp }), 'pairs', 2, 1)).toBeUndefined();
  });

  it('are cut into calls that are alike and as few as may be', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 300 }), (count, largest) => {
        const size = callSize(count, largest);
        const calls = Math.ceil(count / size);
        expect(size).toBeLessThanOrEqual(largest);
        expect(calls).toBe(Math.ceil(count / largest));
        expect(calls * size - count).toBeLessThan(calls);
      }),
    );
  });
});

describe.skipIf(present === undefined)(
  `a step of PGPE on ${present}`,
  () => {
    it('has the gradient and the step of σ that it has on the CPU, to rounding', async () => {
      const objective = objectiveOf({ relaxation: relaxations['crown-ibp'] });
      const estimator = pgpe({ samples: 5, sigma: 0.05, sigmaMode: 'layer', sigmaLearningRate: 0.1 });
      const context = { key: keyOf(4), step: 3, epoch: 0, epochs: 1 };
      const state = estimator.init(theta.length, layout);
      const [here, there] = [cpu, device as Pool].map((pool) => estimator.estimate(state, theta, at(pool, objective), context));
      type Made = Awaited<NonNullable<typeof here>>;
      const [expected, made] = [(await here) as Made, (await there) as Made];
      expect(made.loss).toBeCloseTo(expected.loss, 4);
      expect(distance(made.gradient, expected.gradient)).toBeLessThan(1e-3);
      expect(distance(made.state.sigma, expected.state.sigma)).toBeLessThan(1e-3);
      expect(made.state.sigma.every((s) => s === 0.05)).toBe(false);
    });
  },
  300_000,
);
