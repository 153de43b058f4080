import { describe, expect, it } from 'vitest';
import { evaluate, input } from '../graph/index.js';
import { batchForward } from '../network/batch-statistics.js';
import { foldedNetwork, foldParameters, type Statistics } from '../network/folding.js';
import { batchNormLayer, withoutBias } from '../network/layers/batch-norm.js';
import { convolutionLayer } from '../network/layers/convolution.js';
import { type Extents, featuresOf, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain, type Network, parameterInputs } from '../network/network.js';
import { relaxationNamed } from '../relaxation/index.js';
import { createExecutor, type PlanResult } from '../runtime/execution/executor.js';
import type { Plan } from '../runtime/plan/plan.js';
import type { Feeds } from '../testing/bound-programs.js';
import { normalNumbers, randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { randomParameters } from '../testing/random-networks.js';
import { certified } from './certified.js';
import { createObjective, type ObjectiveOptions } from './objective.js';
import { pgdTraining } from './pgd-training.js';
import { taps } from './taps.js';

const BATCH = 4;
const image: Extents = [1, 4, 4];
const convolution = convolutionLayer(image, {
  channels: 3,
  kernel: [2, 2],
  stride: [2, 2],
  padding: [0, 1, 1, 0],
});
const linear = linearLayer(convolution.output, 5);
const normalised: Network = chain('normalised', image, [
  ...[withoutBias(convolution), batchNormLayer(convolution.output), reluLayer(convolution.output)],
  ...[withoutBias(linear), batchNormLayer(linear.output), reluLayer(linear.output)],
  linearLayer(linear.output, 3),
]);
const names = Object.keys(parameterInputs(normalised));

const options: ObjectiveOptions = {
  network: normalised,
  microBatch: BATCH,
  dtype: 'float64',
  natural: 'loss',
  l1: 1e-3,
  warmupRegularizer: true,
};

function feedsOf(seed: number): Record<string, Float64Array | Int32Array> {
  return {
    images: uniformNumbers(`images ${seed}`, BATCH * featuresOf(image)),
    labels: randomLabels(`labels ${seed}`, BATCH, 3),
    weight: Float64Array.of(0.5, 0.3, 0.2, 0),
    epsilon: Float64Array.of(0.05),
    kappa: Float64Array.of(0.7),
    regularization: Float64Array.of(0.4),
    ...randomParameters(normalised, seed),
    start: uniformNumbers(`start ${seed}`, BATCH * featuresOf(image)),
    'embedding start': uniformNumbers(`embedding ${seed}`, BATCH * 12 * 2),
  };
}

async function runAll(plan: Plan, feeds: readonly Feeds[]): Promise<PlanResult[]> {
  const executor = createExecutor();
  try {
    const results: PlanResult[] = [];
    for (const feed of feeds) {
      const { outputs, gradients } = await executor.run(plan, feed);
      results.push({ outputs, gradients: gradients.map((g) => g.slice()) });
    }
    return results;
  } finally {
    await executor.close();
  }
}
const lossOf = ({ outputs }: PlanResult): number => outputs.loss?.[0] as number;

/**
 * Parameters of the folded network for the statistics of the images that are present, by the plain evaluator.
 */
function foldedFeeds(feeds: ReturnType<typeof feedsOf>): Record<string, Float64Array | Int32Array> {
  const features = featuresOf(image);
  const x = input('x', [features, BATCH], 'float64');
  const { statistics } = batchForward(
    normalised,
    parameterInputs(normalised, 'float64'),
    x,
    input('present', [1, BATCH], 'float64'),
  );
  const columns = Float64Array.from(
    { length: features * BATCH },
    (_, i) => feeds.images?.[(i % BATCH) * features + Math.floor(i / BATCH)] as number,
  );
  const present = Float64Array.of(1, 1, 1, 0);
  const known: Statistics<ArrayLike<number>> = new Map(
    [...statistics].map(([node, { mean, variance }]) => {
      const [mu, v] = evaluate([mean, variance], {
        ...(feeds as Record<string, Float64Array>),
        x: columns,
        present,
      }) as [Float64Array, Float64Array];
      return [node, { mean: mu, variance: v }];
    }),
  );
  const arrays = Object.fromEntries(
    names.map((name) => [name, Float32Array.from(feeds[name] as Float64Array)]),
  );
  const folded = Object.entries(foldParameters(normalised, arrays, known)).map(
    ([name, array]) => [name, Float64Array.from(array)] as const,
  );
  const rest = Object.entries(feeds).filter(([name]) => !names.includes(name));
  return Object.fromEntries([...rest, ...folded]);
}

const methods = {
  ...Object.fromEntries(
    ['ibp', 'hbox', 'deepz', 'crown-ibp', 'crown'].map((name) => [name, certified(relaxationNamed(name))]),
  ),
  'crown-ibp fused': certified(relaxationNamed('crown-ibp'), { fusion: true }),
  pgd: pgdTraining({ steps: 2 }),
  taps: taps({ block: 1, attack: { steps: 2 } }),
};

describe('an objective with batch normalisation', () => {
  // Where α is searched for and where a solver bounds, folded weights are read by stages that are no
  // derivatives.
  const valued = {
    ...methods,
    ...Object.fromEntries(['alpha-crown', 'lp'].map((name) => [name, certified(relaxationNamed(name))])),
  };
  it.each(Object.entries(valued))(
    '%s: its loss is that of the network folded with the statistics of the clean images that are present',
    async (_, robust) => {
      const feeds = feedsOf(1);
      // Its weights are not those that the norm is of.
      const made = await runAll(createObjective({ ...options, l1: 0, robust }).value, [feeds]);
      const plain = await runAll(
        createObjective({ ...options, l1: 0, robust, network: foldedNetwork(normalised) }).value,
        [foldedFeeds(feeds)],
      );
      expect(lossOf(made[0] as PlanResult)).toBeCloseTo(lossOf(plain[0] as PlanResult), 4);
      expect(made[0]?.outputs.natural).toEqual(plain[0]?.outputs.natural);
    },
  );

  it.each(Object.entries(methods).filter(([name]) => !['pgd', 'taps'].includes(name)))(
    '%s: the gradient is the slope of the loss, statistics included, in float64',
    async (_, robust) => {
      const { value, gradient } = createObjective({ ...options, robust });
      const STEP = 1e-6;
      let compared = 0;
      for (const seed of [1, 2, 3]) {
        const feeds = feedsOf(seed);
        const direction = names.map((name) =>
          normalNumbers(`${name} direction ${seed}`, feeds[name]?.length as number),
        );
        const moved = (by: number) => ({
          ...feeds,
          ...Object.fromEntries(
            names.map((name, k) => [
              name,
              (feeds[name] as Float64Array).map((p, i) => p + by * (direction[k]?.[i] as number)),
            ]),
          ),
        });
        const [at] = (await runAll(gradient as Plan, [feeds])) as [PlanResult];
        const [below, above] = (await runAll(value, [moved(-STEP), moved(STEP)])).map(lossOf) as [
          number,
          number,
        ];
        if (Math.abs(above - 2 * lossOf(at) + below) / STEP > 1e-3) continue; // a kink between
        const slope = direction.reduce(
          (sum, d, k) => d.reduce((part, v, i) => part + v * (at.gradients[k]?.[i] as number), sum),
          0,
        );
        expect(Math.abs(slope - (above - below) / (2 * STEP)) / (1 + Math.abs(slope))).toBeLessThan(2e-5);
        compared++;
      }
      expect(compared).toBeGreaterThan(0);
    },
  );

  it.each(Object.entries(methods))(
    '%s: what padding holds changes neither loss nor gradient',
    async (_, robust) => {
      const { gradient } = createObjective({ ...options, robust });
      const feeds = feedsOf(4);
      const features = featuresOf(image);
      const images = (feeds.images as Float64Array).slice();
      images.fill(0.9, 3 * features);
      const [one, two] = (await runAll(gradient as Plan, [feeds, { ...feeds, images }])) as [
        PlanResult,
        PlanResult,
      ];
      expect(lossOf(two)).toBeCloseTo(lossOf(one), 10);
      one.gradients.forEach((g, k) => {
        expect(distance(two.gradients[k] as Float64Array, g)).toBeLessThan(1e-9);
      });
    },
  );

  it('says that images of a micro-batch share statistics; without batch normalisation they do not', () => {
    expect(createObjective(options).batchStatistics).toBe(true);
    expect(createObjective({ ...options, network: foldedNetwork(normalised) }).batchStatistics).toBe(false);
  });
});
