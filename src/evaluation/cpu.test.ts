import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { convolutionLayer } from '../network/layers/convolution.js';
import { type Extents, featuresOf, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain, parameterInputs } from '../network/network.js';
import { createObjective, type Objective, type ObjectiveOptions } from '../objective/objective.js';
import { interval } from '../relaxation/interval.js';
import { crown } from '../relaxation/linear/crown.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import { createPool } from '../runtime/pool/pool.js';
import { deriveKey, keyOf, perturb } from '../runtime/random/keys.js';
import { closeTo } from '../testing/close-metrics.js';
import { randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { randomParameters } from '../testing/random-networks.js';
import { microBatchStarts, type PooledBatch } from './batch-feeds.js';
import type { CpuObjective } from './cpu.js';
import { pooledObjective } from './on-batch.js';
import { type HostGradient, mean } from './sums.js';

const pools = [1, 2, 3].map((threads) => createPool(threads));
const [pool] = pools as [(typeof pools)[number]];
afterAll(() => Promise.all(pools.map((open) => open.close())));

const image: Extents = [1, 5, 5];
const first = convolutionLayer(image, { channels: 3, kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] });
const second = convolutionLayer(first.output, { channels: 4, kernel: [2, 2] });
const network = chain('small', image, [
  first,
  reluLayer(first.output),
  second,
  reluLayer(second.output),
  linearLayer(second.output, 3),
]);

const parameters = randomParameters(network, 1);
let offset = 0;
const layout = Object.keys(parameterInputs(network)).map((name) => {
  const size = parameters[name]?.length as number;
  offset += size;
  return { name, offset: offset - size, size };
});
const theta = Float32Array.from(layout.flatMap(({ name }) => [...(parameters[name] as Float64Array)]));
const features = featuresOf(image);
const batch: PooledBatch = {
  images: Float32Array.from(uniformNumbers('images', 8 * features)),
  labels: randomLabels('labels', 8, 3),
};
const scalars = { epsilon: 0.05, kappa: 0.7, regularization: 0.5 };
const perturbations = {
  keys: [0, 1, 2].map((sample) => deriveKey(keyOf(5), 0, sample)),
  sigma: 0.05,
};

const objectiveOf = (microBatch: number, options: Partial<ObjectiveOptions> = {}): Objective =>
  createObjective({ network, relaxation: crown, l1: 1e-3, microBatch, ...options });
const at = (objective: Objective, on: PooledBatch = batch, by = pool): CpuObjective =>
  pooledObjective(by, objective, layout, on, scalars);
const images = (from: number, to: number): PooledBatch => ({
  images: batch.images.slice(from * features, to * features),
  labels: batch.labels.slice(from, to),
});

describe('micro-batches', () => {
  const sizes = (microBatch: number, count: number, batchStatistics: boolean): number[] => {
    const starts = microBatchStarts({ microBatch, batchStatistics }, count);
    return starts.map((start, i) => (starts[i + 1] ?? count) - start);
  };
  const counts = fc.integer({ min: 1, max: 300 });

  it('are full but for the last', () => {
    fc.assert(
      fc.property(counts, counts, (microBatch, count) => {
        const made = sizes(microBatch, count, false);
        expect(made.slice(0, -1).every((size) => size === microBatch)).toBe(true);
        expect(made.reduce((a, b) => a + b)).toBe(count);
      }),
    );
  });

  it('are as many but alike in size where their images share statistics', () => {
    fc.assert(
      fc.property(counts, counts, (microBatch, count) => {
        const made = sizes(microBatch, count, true);
        expect(made).toHaveLength(sizes(microBatch, count, false).length);
        expect(Math.max(...made)).toBeLessThanOrEqual(microBatch);
        expect(Math.max(...made) - Math.min(...made)).toBeLessThanOrEqual(1);
        expect(made.reduce((a, b) => a + b)).toBe(count);
      }),
    );
  });
});

describe('an objective evaluated by a pool', () => {
  it('gives the same bits whether 1, 2 or 3 workers compute it', async () => {
    const objective = objectiveOf(3, { warmupRegularizer: true });
    const results = await Promise.all(
      pools.map(async (by) => {
        const pooled = at(objective, batch, by);
        const pairs = await pooled.pairs(theta, perturbations);
        return {
          point: await pooled.gradient(theta),
          mean: await pooled.meanGradient(theta, perturbations),
          plus: pairs.plus,
          minus: pairs.minus,
          metrics: pairs.metrics,
          scores: await pairs.scores(Float64Array.of(1, -2, 0.3), {
            weights: Float64Array.of(0.1, 0.2, 0.3),
          }),
        };
      }),
    );
    expect(results[0]?.mean).not.toEqual(results[0]?.point);
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  it.each([1, 3, 5, 16])(
    'does not depend on the size of micro-batches beyond rounding: %i images',
    async (microBatch) => {
      const whole = await at(objectiveOf(8)).gradient(theta);
      const parts = await at(objectiveOf(microBatch)).gradient(theta);
      expect(Math.abs(parts.loss - whole.loss)).toBeLessThan(2e-6 * (1 + Math.abs(whole.loss)));
      expect(distance(parts.gradient, whole.gradient)).toBeLessThan(5e-6);
      expect(parts.metrics).toEqual(closeTo(whole.metrics));
    },
  );

  it('is not changed by padding, warm-up regulariser included', async () => {
    const three = images(0, 3);
    const bare = await at(objectiveOf(3, { warmupRegularizer: true }), three).gradient(theta);
    const padded = await at(objectiveOf(8, { warmupRegularizer: true }), three).gradient(theta);
    expect(Math.abs(padded.loss - bare.loss)).toBeLessThan(2e-6 * (1 + Math.abs(bare.loss)));
    expect(distance(padded.gradient, bare.gradient)).toBeLessThan(5e-6);
    expect(padded.metrics).toEqual(closeTo(bare.metrics));
  });

  it('is the mean over images, accuracies too', async () => {
    const objective = objectiveOf(4);
    const halves = await Promise.all(
      [images(0, 4), images(4, 8)].map((half) => at(objective, half).gradient(theta)),
    );
    const whole = await at(objective).gradient(theta);
    const average = (pick: (half: HostGradient) => number) =>
      halves.reduce((sum, half) => sum + pick(half), 0) / halves.length;
    expect(whole.loss).toBeCloseTo(
      average(({ loss }) => loss),
      5,
    );
    for (const name of ['natural', 'certified'])
      expect(whole.metrics[name]).toBeCloseTo(
        average(({ metrics }) => metrics[name] as number) as number,
        12,
      );
  });

  it('at a perturbation is the objective at the perturbed parameters, on both sides', async () => {
    const pooled = at(objectiveOf(3));
    const moved = (sign: 1 | -1) =>
      perturbations.keys.map((key) => {
        const point = new Float32Array(theta.length);
        perturb(theta, key, perturbations.sigma, sign, point);
        return pooled.gradient(point);
      });
    const [plus, minus] = await Promise.all([Promise.all(moved(1)), Promise.all(moved(-1))]);
    for (const [i, key] of perturbations.keys.entries())
      expect(await pooled.meanGradient(theta, { ...perturbations, keys: [key] })).toEqual(plus[i]);
    expect(await pooled.meanGradient(theta, perturbations)).toEqual(mean(plus));
    const pairs = await pooled.pairs(theta, perturbations);
    // Programs of values and of gradients round differently.
    expect(
      distance(
        pairs.plus,
        plus.map(({ loss }) => loss),
      ),
    ).toBeLessThan(2e-6);
    expect(
      distance(
        pairs.minus,
        minus.map(({ loss }) => loss),
      ),
    ).toBeLessThan(2e-6);
    expect(pairs.metrics.natural).toBeCloseTo(
      [...plus, ...minus].reduce((sum, { metrics }) => sum + (metrics.natural as number), 0) / 6,
      12,
    );
  });

  it('averages gradients at both points of antithetic pairs', async () => {
    const pooled = at(objectiveOf(3));
    const points = perturbations.keys.flatMap((key) =>
      ([1, -1] as const).map((sign) => {
        const point = new Float32Array(theta.length);
        perturb(theta, key, perturbations.sigma, sign, point);
        return pooled.gradient(point);
      }),
    );
    const pairs = await pooled.meanGradient(theta, { ...perturbations, antithetic: true });
    expect(pairs).toEqual(mean(await Promise.all(points)));
  });

  it('gives single points, projections and scores as they are defined', async () => {
    const pooled = at(objectiveOf(3));
    const { points } = pooled;
    const { keys, sigma } = perturbations;
    const spread = Float32Array.from(theta, (_, j) => 0.02 + 0.01 * Math.sin(j));
    const normals = keys.map((key) => {
      const z = new Float32Array(theta.length);
      perturb(new Float32Array(theta.length), key, 1, 1, z);
      return z;
    });
    const gradients = await points.gradients(theta, perturbations);
    expect(mean(gradients as HostGradient[])).toEqual(await pooled.meanGradient(theta, perturbations));
    expect(await points.losses(theta, { keys, sigma: -sigma })).toEqual(
      (await pooled.pairs(theta, perturbations)).minus,
    );
    const vectors = gradients.map(({ gradient }) => gradient as Float32Array);
    for (const each of [sigma, spread]) {
      const over = (j: number) => (typeof each === 'number' ? each : (each[j] as number));
      const projections = await points.projections(vectors, { keys, sigma: each });
      const scores = await points.scores(Float64Array.of(1, -2, 0.3), { keys, sigma: each });
      for (const [i, z] of normals.entries())
        expect(projections[i]).toBeCloseTo(
          z.reduce((sum, value, j) => sum + over(j) * value * ((vectors[i] as Float32Array)[j] as number), 0),
          6,
        );
      const [a, b, c] = normals as [Float32Array, Float32Array, Float32Array];
      const expected = a.map((_, j) => {
        const sum = (a[j] as number) - 2 * (b[j] as number) + 0.3 * (c[j] as number);
        return sum / over(j);
      });
      expect(distance(scores, expected)).toBeLessThan(1e-5 * Math.max(...expected));
    }
  });

  it('measures the root mean square of ranges of parameters', async () => {
    const ranges = [
      { offset: 0, size: 2 },
      { offset: 2, size: 3 },
    ];
    const [one, two] = await at(objectiveOf(3)).rootMeanSquares(Float32Array.of(3, 5, 0, 0, 6), ranges);
    expect(one).toBeCloseTo(Math.sqrt(17), 6);
    expect(two).toBeCloseTo(Math.sqrt(12), 6);
  });

  it('says what to do where it has no gradient', async () => {
    const valuesOnly: Relaxation = { ...interval, differentiable: false };
    await expect(at(objectiveOf(8, { relaxation: valuesOnly })).gradient(theta)).rejects.toThrow(
      /not differentiable; use the estimator pgpe$/,
    );
  });
});
