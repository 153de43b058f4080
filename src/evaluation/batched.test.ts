import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { flatten, parameterLayout } from '../network/parameters.js';
import { createObjective, type Objective } from '../objective/objective.js';
import { sabr } from '../objective/sabr.js';
import { type RelaxationName, relaxations } from '../relaxation/index.js';
import { DeviceError } from '../runtime/device/device.js';
import { planFootprint } from '../runtime/plan/memory.js';
import type { Plan } from '../runtime/plan/plan.js';
import { createPool, type Pool } from '../runtime/pool/pool.js';
import { deriveKey, keyOf } from '../runtime/random/keys.js';
import { pgpe } from '../smoothing/pgpe.js';
import { deviceForTests } from '../testing/devices.js';
import { onHost, sigmasOnHost } from '../testing/host-vector.js';
import { normalNumbers, randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { randomParameters } from '../testing/random-networks.js';
import { smallNetwork } from '../testing/robust-objectives.js';
import { type PooledOptions, pooledObjective } from './on-batch.js';
import { type Calls, callSize, callsFor, evaluatesPopulations } from './population.js';

const present = await deviceForTests();
const cpu = createPool(1);
const device = present && createPool(1, present);
afterAll(() => Promise.all([cpu.close(), device?.close()]));

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
const perturbations = (count: number, sigma: number | Float32Array) => ({
  keys: Array.from({ length: count }, (_, i) => deriveKey(keyOf(7), 0, i)),
  sigma,
});
const spread = Float32Array.from({ length: theta.length }, (_, i) => 0.02 + 0.01 * Math.sin(i));

const sampled = (count: number, sigma: number | Float32Array = 0.05) => perturbations(count, sigma);
/** Calls of so many keys at most. */
const within = (keys: number, memory = 2 ** 32, array = 2 ** 30) => ({ keys, memory, array });
const objectiveOf = (options: object): Objective =>
  createObjective({ network: smallNetwork, microBatch: 3, ...options });
const at = (pool: Pool, objective: Objective, options?: PooledOptions) =>
  pooledObjective(
    pool,
    objective,
    layout,
    batch,
    { epsilon: 0.1, kappa: 0.7, regularization: 0 },
    keyOf(2),
    options,
  );

describe('perturbations evaluated together', () => {
  it.each(['ibp', 'crown-ibp', 'crown'] satisfies RelaxationName[])(
    'have the losses and gradients that they have one by one: %s',
    async (name) => {
      const objective = objectiveOf({ relaxation: relaxations[name] });
      for (const [sigma, count, perCall] of [
        [0.05, 5, 2],
        [spread, 3, 8],
      ] as const) {
        const given = perturbations(count, sigma);
        const [alone, together] = [at(cpu, objective), at(cpu, objective, { limits: within(perCall) })];
        const [one, many] = [await alone.pairs(theta, given), await together.pairs(theta, given)];
        expect(distance(many.plus, one.plus)).toBeLessThan(1e-5);
        expect(distance(many.minus, one.minus)).toBeLessThan(1e-5);
        expect(Object.keys(many.metrics)).toEqual(Object.keys(one.metrics));
        for (const [metric, value] of Object.entries(one.metrics))
          expect(many.metrics[metric]).toBeCloseTo(value, 2);
        for (const antithetic of [false, true]) {
          const [made, expected] = [
            await together.meanGradient(theta, { ...given, antithetic }),
            await alone.meanGradient(theta, { ...given, antithetic }),
          ];
          expect(made.loss).toBeCloseTo(expected.loss, 4);
          expect(distance(made.gradient, expected.gradient)).toBeLessThan(1e-3);
        }
      }
    },
  );

  it('are attacked from the same points as one by one', async () => {
    const objective = objectiveOf({ robust: sabr({ lambda: 0.4 }) });
    const given = perturbations(4, 0.05);
    const [one, many] = [
      await at(cpu, objective).pairs(theta, given),
      await at(cpu, objective, { limits: within(3) }).pairs(theta, given),
    ];
    expect(distance(many.plus, one.plus)).toBeLessThan(1e-4);
  });

  it('are those of one plan, made once', () => {
    const objective = objectiveOf({ relaxation: relaxations.ibp });
    expect(callsFor(objective, 'pairs', sampled(4), within(9))).toBe(
      callsFor(objective, 'pairs', sampled(4), within(9)),
    );
    expect(callsFor(objective, 'pairs', sampled(4, spread), within(9))).not.toBe(
      callsFor(objective, 'pairs', sampled(4), within(9)),
    );
  });

  it('are computed one by one where a solver outside the graph has a part', async () => {
    const solved = objectiveOf({ relaxation: relaxations.lp });
    const losses = async (options?: PooledOptions) => {
      const { plus, minus } = await at(cpu, solved, options).pairs(theta, perturbations(2, 0.05));
      return { plus, minus };
    };
    expect(evaluatesPopulations(solved)).toBe(false);
    expect(await losses({ limits: within(4) })).toEqual(await losses());
    expect(() => callsFor(solved, 'pairs', sampled(2), within(2))).toThrow(/without a solver and in float32/);
  });

  it('are cut into calls that fit the memory and the longest array, down to one pair', () => {
    const objective = objectiveOf({ relaxation: relaxations['crown-ibp'] });
    const cut = (memory: number, array: number) =>
      callsFor(objective, 'pairs', sampled(64), { memory, array });
    const sizes = [2 ** 13, 2 ** 20, 2 ** 22, 2 ** 26].map(
      (memory) => cut(memory, 2 ** 30)?.programs.keys as number,
    );
    expect(sizes[0]).toBe(1);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    expect(sizes.at(-1)).toBe(64);
    for (const memory of [2 ** 20, 2 ** 22])
      expect(planFootprint(cut(memory, 2 ** 30)?.plan as Plan).peak).toBeLessThan(memory);
    const [long, short] = [2 ** 30, 2 ** 16].map(
      (array) => planFootprint(cut(2 ** 26, array)?.plan as Plan).largest,
    ) as [number, number];
    expect(long).toBeGreaterThan(2 ** 16);
    expect(short).toBeLessThanOrEqual(2 ** 16);
  });

  it('are fewer a call where each program keeps its memory to itself', () => {
    const objective = objectiveOf({ relaxation: relaxations.crown });
    const keysOf = (perProgram: boolean) =>
      callsFor(objective, 'gradients', sampled(64), { memory: 2 ** 24, array: 2 ** 30, perProgram })?.programs
        .keys as number;
    expect(keysOf(true)).toBeLessThan(keysOf(false));
    const { plan } = callsFor(objective, 'gradients', sampled(64), {
      memory: 2 ** 24,
      array: 2 ** 30,
      perProgram: true,
    }) as Calls;
    const peaks = plan.programs.map(({ footprint }) => footprint.peak);
    expect(planFootprint(plan, true).peak - planFootprint(plan).peak).toBe(
      peaks.reduce((a, b) => a + b, 0) - Math.max(...peaks),
    );
    expect(planFootprint(plan, true).peak).toBeLessThan(2 ** 24);
  });

  it('have their normals made for several calls at once, and weighed alike wherever', async () => {
    const objective = objectiveOf({ relaxation: relaxations.ibp });
    const given = perturbations(7, 0.05);
    const weights = [normalNumbers('first', 7), normalNumbers('second', 7)].map((values) =>
      Float64Array.from(values),
    ) as [Float64Array, Float64Array];
    const [first, second] = [weights[0], { weights: weights[1] }];
    const expected = await (await at(cpu, objective).pairs(theta, given)).scores(first, second);
    for (const memory of [2 ** 16, 2 ** 32]) {
      const together = at(cpu, objective, { limits: within(2, memory) });
      const pairs = await together.pairs(theta, given);
      const made = await pairs.scores(first, second);
      expect(distance(made.theta, expected.theta)).toBeLessThan(1e-5);
      expect(distance(made.sigma as Float64Array, expected.sigma as Float64Array)).toBeLessThan(1e-5);
      expect((await pairs.scores(first)).sigma).toBeUndefined();
    }
  });

  it('are fewer a call from then on where the memory of a device does not hold them, and an error where it does not hold half of them', async () => {
    const objective = objectiveOf({ relaxation: relaxations.ibp });
    const asked: number[] = [];
    const holding = (most: number): Pool => ({
      ...cpu,
      population(task) {
        const keys = task.programs?.keys as number;
        asked.push(keys);
        if (keys > most) throw new DeviceError('webgpu', new Error('failed to allocate memory'));
        return cpu.population(task);
      },
    });
    const given = perturbations(8, 0.05);
    const expected = await at(cpu, objective).pairs(theta, given);
    const small = at(holding(4), objective, { limits: within(8) });
    for (let step = 0; step < 2; step++)
      expect(distance((await small.pairs(theta, given)).plus, expected.plus)).toBeLessThan(1e-5);
    expect(asked).toEqual([8, 4, 4]);
    await expect(at(holding(1), objective, { limits: within(8) }).pairs(theta, given)).rejects.toThrow(
      /memory .* 4 perturbations at once, nor for 2/,
    );
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
      const [here, there] = [cpu, device as Pool].map((pool) =>
        estimator.estimate(state, theta, at(pool, objective), context),
      );
      type Made = Awaited<NonNullable<typeof here>>;
      const [expected, made] = [(await here) as Made, (await there) as Made];
      expect(made.loss).toBeCloseTo(expected.loss, 4);
      expect(distance(onHost(made.gradient), onHost(expected.gradient))).toBeLessThan(1e-3);
      const sigma = sigmasOnHost(made.state.sigma);
      expect(distance(sigma, sigmasOnHost(expected.state.sigma))).toBeLessThan(1e-3);
      expect(sigma.every((s) => s === 0.05)).toBe(false);
    });
  },
  300_000,
);
