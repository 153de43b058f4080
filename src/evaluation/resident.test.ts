import { afterAll, describe, expect, it } from 'vitest';
import { flatten, parameterLayout } from '../network/parameters.js';
import { createObjective } from '../objective/objective.js';
import { sabr } from '../objective/sabr.js';
import { relaxations } from '../relaxation/index.js';
import { createPool, type Pool, type PoolVectors } from '../runtime/pool/pool.js';
import type { KeptVector } from '../runtime/pool/task.js';
import { deriveKey, keyOf } from '../runtime/random/keys.js';
import { deviceForTests } from '../testing/devices.js';
import { normalNumbers, randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { randomParameters } from '../testing/random-networks.js';
import { smallNetwork } from '../testing/robust-objectives.js';
import { evaluatedBatch, pooledObjective } from './on-batch.js';
import { evaluatesPopulations } from './population.js';
import { ResidentObjective } from './resident.js';

const present = await deviceForTests();
const cpu = createPool(1);
const made = present && createPool(1, present);
const device = made as Pool;
const vectors = device?.vectors as PoolVectors;
afterAll(() => Promise.all([cpu.close(), made?.close()]));

const IMAGES = 5;
const layout = parameterLayout(smallNetwork);
const theta = flatten(
  Object.fromEntries(
    Object.entries(randomParameters(smallNetwork, 3)).map(([name, values]) => [
      name,
      Float32Array.from(values),
    ]),
  ),
  layout,
);
const batch = {
  images: Float32Array.from(uniformNumbers('images', IMAGES * 16)),
  labels: randomLabels('labels', IMAGES, smallNetwork.classes),
};
const scalars = { epsilon: 0.1, kappa: 0.7, regularization: 0 };
const spread = Float32Array.from({ length: theta.length }, (_, i) => 0.02 + 0.01 * Math.sin(i));
const around = (count: number, sigma: number | Float32Array) => ({
  keys: Array.from({ length: count }, (_, i) => deriveKey(keyOf(7), 0, i)),
  sigma,
});

/** The same objective where θ is the host's and where it is the device's, two perturbations a call. */
function both(options: object) {
  const objective = createObjective({ network: smallNetwork, microBatch: 3, ...options });
  const here = pooledObjective(cpu, objective, layout, batch, scalars, keyOf(2));
  const on = evaluatedBatch(objective, layout, batch, scalars, keyOf(2));
  const there = new ResidentObjective(device, vectors, on, {
    memory: 2 ** 32,
    array: 2 ** 30,
    keys: 2,
  });
  return { here, there };
}

describe.skipIf(!made?.vectors)(
  `an objective whose θ stays on ${present}`,
  () => {
    it.each([
      ['IBP, one program', { relaxation: relaxations.ibp }],
      ['CROWN, whose programs add to gradients', { relaxation: relaxations.crown }],
      ['SABR, with attacks', { robust: sabr({ lambda: 0.4 }) }],
    ])('gives the losses, gradients and scores that it gives on the host: %s', async (_, options) => {
      const { here, there } = both(options);
      const kept = await vectors.upload(theta);
      for (const [sigma, count] of [
        [0.05, 3],
        [spread, 2],
      ] as const) {
        const given = around(count, sigma);
        const [expected, got] = [await here.pairs(theta, given), await there.pairs(kept, given)];
        expect(distance(got.plus, expected.plus)).toBeLessThan(1e-4);
        expect(distance(got.minus, expected.minus)).toBeLessThan(1e-4);
        for (const antithetic of [false, true]) {
          const mean = await there.meanGradient(kept, { ...given, antithetic });
          const expectedMean = await here.meanGradient(theta, { ...given, antithetic });
          expect(mean.loss).toBeCloseTo(expectedMean.loss, 4);
          expect(distance(await vectors.read(mean.gradient), expectedMean.gradient)).toBeLessThan(1e-3);
          await vectors.drop([mean.gradient]);
        }
      }
      const sizes = await there.rootMeanSquares(kept, layout);
      expect(distance(sizes, await here.rootMeanSquares(theta, layout))).toBeLessThan(1e-5);
      const [expected, got] = [await here.gradient(theta), await there.gradient(kept)];
      expect(got.loss).toBeCloseTo(expected.loss, 4);
      expect(distance(await vectors.read(got.gradient), expected.gradient)).toBeLessThan(1e-3);
      for (const [name, value] of Object.entries(expected.metrics))
        expect(got.metrics[name]).toBeCloseTo(value, 5);
      // Nothing of all this has touched θ.
      expect(await vectors.read(kept)).toEqual(theta);
    });

    it('gives scores of θ and of σ: one, of groups, or of each coordinate', async () => {
      const { here, there } = both({ relaxation: relaxations.ibp });
      const kept = await vectors.upload(theta);
      const [first, weights] = [normalNumbers('first', 5), normalNumbers('second', 5)];
      const groups = layout.map(({ offset, size }) => ({ offset, size }));
      for (const sigma of [0.05, spread]) {
        const given = around(5, sigma);
        const [host, resident] = [await here.pairs(theta, given), await there.pairs(kept, given)];
        for (const second of [undefined, { weights }, { weights, groups }]) {
          const [expected, got] = [await host.scores(first, second), await resident.scores(first, second)];
          expect(distance(await vectors.read(got.theta), expected.theta)).toBeLessThan(1e-5);
          expect(got.sigma?.length).toBe(expected.sigma?.length);
          if (expected.sigma) expect(distance(got.sigma as Float64Array, expected.sigma)).toBeLessThan(1e-5);
        }
      }
    });

    it('is refused where a solver has a part in it', () => {
      const solved = createObjective({ network: smallNetwork, microBatch: 3, relaxation: relaxations.lp });
      expect(evaluatesPopulations(solved)).toBe(false);
      const on = evaluatedBatch(solved, layout, batch, scalars);
      expect(() => new ResidentObjective(device, vectors, on)).toThrow(/without a solver/);
    });
  },
  300_000,
);

describe.skipIf(!made?.vectors)(`vectors that stay on ${present}`, () => {
  it('come back as they went, and are gone when they were let go of', async () => {
    const data = Float32Array.from(normalNumbers('data', 11));
    const kept = await vectors.upload(data);
    expect(kept.length).toBe(11);
    expect(await vectors.read(kept)).toEqual(data);
    await vectors.drop([kept]);
    await expect(vectors.read(kept)).rejects.toThrow(/is not there any more/);
  });

  it('outlive an error for which everything on the device is closed', async () => {
    const data = Float32Array.from(normalNumbers('more data', 11));
    const kept = await vectors.upload(data);
    const unknown: KeptVector = { id: 1e6, length: 11 };
    const { plan } = { plan: createObjective({ network: smallNetwork, microBatch: 3 }).value };
    await expect(vectors.compute({ plan, feeds: { θ: unknown } }, {})).rejects.toThrow(/the device was lost/);
    expect(await vectors.read(kept)).toEqual(data);
    // And are on the device again when a program wants them.
    const { here, there } = both({ relaxation: relaxations.ibp });
    const back = await vectors.upload(theta);
    await expect(vectors.compute({ plan, feeds: { θ: unknown } }, {})).rejects.toThrow();
    const [expected, got] = [await here.gradient(theta), await there.gradient(back)];
    expect(distance(await vectors.read(got.gradient), expected.gradient)).toBeLessThan(1e-3);
  });
});
