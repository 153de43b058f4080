import { afterAll, describe, expect, it } from 'vitest';
import { batchNormLayer, withoutBias } from '../network/layers/batch-norm.js';
import { convolutionLayer } from '../network/layers/convolution.js';
import { type Extents, featuresOf, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain } from '../network/network.js';
import { flatten, parameterLayout } from '../network/parameters.js';
import { createObjective, type ObjectiveOptions } from '../objective/objective.js';
import { sabr } from '../objective/sabr.js';
import { relaxations } from '../relaxation/index.js';
import { createPool } from '../runtime/pool/pool.js';
import { deriveKey, keyOf } from '../runtime/random/keys.js';
import { closeTo } from '../testing/close-metrics.js';
import { randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { randomParameters } from '../testing/random-networks.js';
import { evaluateBatch, pooledObjective } from './on-batch.js';

const pools = [1, 2].map((threads) => createPool(threads));
const [pool] = pools as [(typeof pools)[number]];
afterAll(() => Promise.all(pools.map((each) => each.close())));

const image: Extents = [1, 4, 4];
const first = convolutionLayer(image, { channels: 3, kernel: [2, 2], stride: [2, 2], padding: [0, 1, 1, 0] });
const second = linearLayer(first.output, 5);
const network = chain('normalised', image, [
  ...[withoutBias(first), batchNormLayer(first.output), reluLayer(first.output)],
  ...[withoutBias(second), batchNormLayer(second.output), reluLayer(second.output)],
  linearLayer(second.output, 3),
]);
const layout = parameterLayout(network);
const theta = flatten(
  Object.fromEntries(
    Object.entries(randomParameters(network, 5)).map(([name, values]) => [name, Float32Array.from(values)]),
  ),
  layout,
);
const IMAGES = 8;
const batch = {
  images: Float32Array.from(uniformNumbers('images', IMAGES * featuresOf(image))),
  labels: randomLabels('labels', IMAGES, 3),
};
const scalars = { epsilon: 0.05, kappa: 0.7, regularization: 0.4 };
const perturbations = { keys: [0, 1, 2].map((i) => deriveKey(keyOf(3), 0, i)), sigma: 0.05 };

type Options = Partial<ObjectiveOptions>;
const objectiveOf = (microBatch: number, options: Options) =>
  createObjective({ network, microBatch, l1: 1e-3, ...options });
const at = (microBatch: number, options: Options, by = pool) =>
  pooledObjective(by, objectiveOf(microBatch, options), layout, batch, scalars, keyOf(2));
/** The batch in one call, its statistics in the program; and cut into calls of three, with passes of their own. */
const both = (options: Options, by = pool) =>
  [at(IMAGES, options), at(3, { ...options, statistics: 'batch' }, by)] as const;

const methods: [string, Options][] = [
  ['natural training', {}],
  ['IBP', { relaxation: relaxations.ibp }],
  ['CROWN, in several stages', { relaxation: relaxations.crown }],
  ['SABR, with attacks', { robust: sabr({ lambda: 0.4 }) }],
];

describe('a batch with statistics of its own, cut into micro-batches', () => {
  it.each(methods)('has the loss and the gradient of the whole: %s', async (_, options) => {
    const [whole, cut] = both(options);
    const [expected, got] = [await whole.gradient(theta), await cut.gradient(theta)];
    expect(Math.abs(got.loss - expected.loss)).toBeLessThan(2e-6 * (1 + expected.loss));
    expect(distance(got.gradient, expected.gradient)).toBeLessThan(2e-5);
    expect(got.gradient).toHaveLength(theta.length);
    expect(got.metrics).toEqual(closeTo(expected.metrics));
    // Micro-batches with statistics of their own are another loss.
    expect(Math.abs((await at(3, options).gradient(theta)).loss - expected.loss)).toBeGreaterThan(1e-3);
  });

  it('has it at perturbed parameters: values, scores and mean gradients', async () => {
    const [whole, cut] = both({ relaxation: relaxations.ibp });
    const [expected, got] = [await whole.pairs(theta, perturbations), await cut.pairs(theta, perturbations)];
    expect(distance(got.plus, expected.plus)).toBeLessThan(1e-5);
    expect(distance(got.minus, expected.minus)).toBeLessThan(1e-5);
    const weights = Float64Array.of(1, -2, 0.5);
    expect((await got.scores(weights)).theta).toEqual((await expected.scores(weights)).theta);
    for (const antithetic of [false, true]) {
      const given = { ...perturbations, antithetic };
      const [mean, cutMean] = [await whole.meanGradient(theta, given), await cut.meanGradient(theta, given)];
      expect(Math.abs(cutMean.loss - mean.loss)).toBeLessThan(1e-5);
      expect(distance(cutMean.gradient, mean.gradient)).toBeLessThan(5e-5);
    }
    const spread = Float32Array.from(theta, (_, j) => 0.03 + 0.01 * Math.sin(j));
    const each = { ...perturbations, sigma: spread };
    expect(distance((await cut.pairs(theta, each)).plus, (await whole.pairs(theta, each)).plus)).toBeLessThan(
      1e-5,
    );
  });

  it('gives the same bits whatever the number of workers, and its value without a gradient', async () => {
    const [, cut] = both({ relaxation: relaxations.ibp });
    const [, shared] = both({ relaxation: relaxations.ibp }, pools[1]);
    expect(await shared.gradient(theta)).toEqual(await cut.gradient(theta));
    const objective = objectiveOf(3, { relaxation: relaxations.ibp, statistics: 'batch' });
    const { loss } = await evaluateBatch(pool, objective, layout, theta, batch, scalars);
    expect(Math.abs(loss - (await cut.gradient(theta)).loss)).toBeLessThan(1e-5);
    expect(objective.population).toBeUndefined();
  });
});
