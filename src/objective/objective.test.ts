import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { input } from '../graph/index.js';
import { convolutionLayer } from '../network/layers/convolution.js';
import { type Extents, featuresOf, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import type { normalizeLayer } from '../network/layers/normalize.js';
import { chain, logits, type Network, parameterInputs } from '../network/network.js';
import { interval, intervalBounds } from '../relaxation/interval.js';
import { crown } from '../relaxation/linear/crown.js';
import { crownIbp } from '../relaxation/linear/crown-ibp.js';
import type { Bounds, Relaxation } from '../relaxation/relaxation.js';
import type { PlanResult } from '../runtime/execution/executor.js';
import type { Plan } from '../runtime/plan/plan.js';
import { boundProblem, runPlan, runStages } from '../testing/bound-programs.js';
import { normalNumbers, randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { type PlainBounds, plainRegularizer } from '../testing/plain-regularizer.js';
import { denseNetworks, randomParameters } from '../testing/random-networks.js';
import { createObjective, type ObjectiveOptions, type ObjectiveScalars } from './objective.js';

const BATCH = 4;
const L1 = 0.01;
const image: Extents = [1, 4, 5];
const first = convolutionLayer(image, { channels: 3, kernel: [3, 2], stride: [1, 2], padding: [1, 0, 0, 1] });
const second = convolutionLayer(first.output, { channels: 2, kernel: [2, 2] });
const convolutional = chain('small', image, [
  first,
  reluLayer(first.output),
  second,
  reluLayer(second.output),
  linearLayer(second.output, 4),
  reluLayer([4, 1, 1]),
  linearLayer([4, 1, 1], 3),
]);
const networks = fc.oneof(fc.constant(convolutional), denseNetworks);

/**
 * Arrays of a micro-batch: images row by row, labels, weights (the last image is padding), scalars and
 * parameters.
 */
function feedsOf(
  net: Network,
  seed: number,
  scalars: ObjectiveScalars,
): Record<string, Float64Array | Int32Array> {
  const features = featuresOf(net.input);
  return {
    images: uniformNumbers(`images ${seed}`, BATCH * features),
    labels: randomLabels(`labels ${seed}`, BATCH, net.classes),
    weight: Float64Array.from({ length: BATCH }, (_, i) => (i < BATCH - 1 ? 0.1 * (i + 1) : 0)),
    ...Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, Float64Array.of(value)])),
    ...randomParameters(net, seed),
  };
}

/** Columns of the images, [features, images], of the first `count`. */
const columns = (images: Float64Array, features: number, count: number, f = (v: number) => v): Float64Array =>
  Float64Array.from({ length: features * count }, (_, i) =>
    f(images[(i % count) * features + Math.floor(i / count)] as number),
  );

const crossEntropy = (values: readonly number[], label: number): number =>
  Math.log(values.reduce((sum, v) => sum + Math.exp(v - (values[label] as number)), 0));
const rowOf = (values: Float64Array, batch: number, i: number): number[] =>
  [...values].filter((_, at) => at % batch === i);

/** The interval [(l − μ)/σ, (u − μ)/σ] of each value, channel by channel; the box itself without a normalisation. */
function normalizedInput(net: Network, { lower, upper }: PlainBounds, batch: number): PlainBounds {
  const [first] = net.nodes;
  if (first === undefined || first.layer.name !== 'normalize') return { lower, upper };
  const { mean, std } = (first.layer as ReturnType<typeof normalizeLayer>).normalization;
  const area = (net.input[1] as number) * (net.input[2] as number);
  const channel = (i: number) => Math.floor(Math.floor(i / batch) / area);
  const normal = (v: number, i: number) => (v - (mean[channel(i)] as number)) / (std[channel(i)] as number);
  return { lower: lower.map(normal), upper: upper.map(normal) };
}

/**
 * Loss and counts by their formulas, from logits, margins and interval bounds of the images that are not
 * padding.
 */
async function plainObjective(
  net: Network,
  relaxation: Relaxation | undefined,
  feeds: ReturnType<typeof feedsOf>,
  scalars: ObjectiveScalars,
  regularized: boolean,
) {
  const present = BATCH - 1;
  const features = featuresOf(net.input);
  const images = feeds.images as Float64Array;
  const labels = (feeds.labels as Int32Array).slice(0, present);
  const weight = feeds.weight as Float64Array;
  const x = columns(images, features, present);
  const lower = columns(images, features, present, (v) => Math.max(0, v - scalars.epsilon));
  const upper = columns(images, features, present, (v) => Math.min(1, v + scalars.epsilon));
  const problem = boundProblem(net, present);
  const values = intervalBounds(net, problem.parameters, problem.box);
  const read = net.nodes.flatMap(({ layer, inputs }) =>
    layer.kind === 'relu' ? [values[inputs[0] as number] as Bounds] : [],
  );
  const { stages, margins } = (relaxation ?? interval).bound(problem);
  const [result] = await runStages(
    [
      ...stages,
      {
        kind: 'whole',
        outputs: {
          margins,
          logits: logits(net, problem.parameters, input('x', [features, present], 'float64')),
          ...Object.fromEntries(
            read.flatMap((b, k) => [
              [`below ${k}`, b.lower],
              [`above ${k}`, b.upper],
            ]),
          ),
        },
      },
    ],
    [{ ...feeds, x, lower, upper, labels }],
  );
  const made = result?.outputs as Record<string, Float64Array>;
  const kappa = relaxation ? scalars.kappa : 0;
  let [loss, natural, certified] = [0, 0, 0];
  const parts = { naturalLoss: 0, robustLoss: 0, regularizationLoss: 0 };
  labels.forEach((label, i) => {
    const outputs = rowOf(made.logits as Float64Array, present, i);
    const bounds = rowOf(made.margins as Float64Array, present, i);
    const own = (1 - kappa) * crossEntropy(outputs, label);
    const robust = kappa * crossEntropy([0, ...bounds.map((m) => -m)], 0);
    loss += (weight[i] as number) * (own + robust);
    parts.naturalLoss += own;
    parts.robustLoss += robust;
    if (outputs.every((v, j) => j === label || v < (outputs[label] as number))) natural++;
    if (bounds.every((m) => m > 0)) certified++;
  });
  const share = weight.reduce((a, b) => a + b, 0);
  const weights = Object.entries(feeds).filter(([name]) => name.endsWith('.weight'));
  let regularizer =
    L1 * weights.reduce((sum, [, w]) => (w as Float64Array).reduce((part, v) => part + Math.abs(v), sum), 0);
  const layers = read.map(
    (_, k): PlainBounds => ({
      lower: made[`below ${k}`] as Float64Array,
      upper: made[`above ${k}`] as Float64Array,
    }),
  );
  const normalized = normalizedInput(net, { lower, upper }, present);
  if (regularized) regularizer += scalars.regularization * plainRegularizer(normalized, layers);
  parts.regularizationLoss = present * regularizer;
  return { loss: loss + share * regularizer, natural, certified, parts };
}

const objectives: [string, Partial<ObjectiveOptions>][] = [
  ['natural', {}],
  ['natural with the warm-up regulariser', { warmupRegularizer: true }],
  ['ibp', { relaxation: interval }],
  ['ibp with the warm-up regulariser', { relaxation: interval, warmupRegularizer: true }],
  ['crown-ibp', { relaxation: crownIbp }],
  ['crown with the warm-up regulariser', { relaxation: crown, warmupRegularizer: true }],
];
const scalarCases = fc.record({
  epsilon: fc.constantFrom(0.02, 0.2),
  kappa: fc.constantFrom(0, 0.4, 1),
  regularization: fc.constantFrom(0, 0.5),
});

describe('the objective of a micro-batch', () => {
  it.each(objectives)(
    'is its formula, and counts are those of the images that are not padding: %s',
    async (_, options) => {
      await fc.assert(
        fc.asyncProperty(networks, fc.nat(), scalarCases, async (net, seed, scalars) => {
          const objective = createObjective({
            network: net,
            microBatch: BATCH,
            l1: L1,
            dtype: 'float64',
            ...options,
          });
          const feeds = feedsOf(net, seed, scalars);
          const expected = await plainObjective(
            net,
            options.relaxation,
            feeds,
            scalars,
            options.warmupRegularizer ?? false,
          );
          for (const plan of [objective.value, objective.gradient as Plan]) {
            const [result] = await runPlan(plan, [feeds]);
            expect(Math.abs((result?.outputs.loss?.[0] as number) - expected.loss)).toBeLessThan(
              1e-11 * (1 + Math.abs(expected.loss)),
            );
            expect(result?.outputs.natural?.[0]).toBe(expected.natural);
            if (options.relaxation) expect(result?.outputs.certified?.[0]).toBe(expected.certified);
            for (const name of objective.parts) {
              const part = expected.parts[name as keyof typeof expected.parts];
              expect(Math.abs((result?.outputs[name]?.[0] as number) - part)).toBeLessThan(
                1e-11 * (1 + Math.abs(part)),
              );
            }
          }
          const robust = options.relaxation ? ['robustLoss'] : [];
          expect(objective.parts).toEqual(['naturalLoss', ...robust, 'regularizationLoss']);
          expect(objective.counts).toEqual(options.relaxation ? ['natural', 'certified'] : ['natural']);
        }),
        { numRuns: 5 },
      );
    },
  );

  it.each(objectives)('has the gradient that its values show: %s', async (_, options) => {
    let [compared, kinks] = [0, 0];
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), scalarCases, async (net, seed, scalars) => {
        const objective = createObjective({
          network: net,
          microBatch: BATCH,
          l1: L1,
          dtype: 'float64',
          ...options,
        });
        const feeds = feedsOf(net, seed, scalars);
        const names = Object.keys(parameterInputs(net));
        const step = 1e-6;
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
        const [at] = (await runPlan(objective.gradient as Plan, [feeds])) as [PlanResult];
        const [below, above] = (await runPlan(objective.value, [moved(-step), moved(step)])).map(
          ({ outputs }) => outputs.loss?.[0] as number,
        ) as [number, number];
        const loss = at.outputs.loss?.[0] as number;
        const size = 1 + Math.abs(above - below) / step;
        const bend = Math.abs(above - 2 * loss + below) / step / size;
        if (bend > 1e-3) {
          kinks++;
          return;
        }
        compared++;
        const slope = direction.reduce(
          (sum, d, k) => d.reduce((part, v, i) => part + v * (at.gradients[k]?.[i] as number), sum),
          0,
        );
        expect(Math.abs(slope - (above - below) / (2 * step)) / size).toBeLessThan(1e-6 + bend);
      }),
      { numRuns: 5 },
    );
    expect(compared).toBeGreaterThan(kinks);
  });

  it('is the same at κ = 1 whatever is computed of the natural part', async () => {
    const feeds = feedsOf(convolutional, 5, { epsilon: 0.1, kappa: 1, regularization: 0 });
    const [full, ...others] = await Promise.all(
      (['loss', 'accuracy', 'none'] as const).map(async (natural) => {
        const objective = createObjective({
          network: convolutional,
          relaxation: interval,
          microBatch: BATCH,
          dtype: 'float64',
          natural,
        });
        expect(objective.counts).toEqual(natural === 'none' ? ['certified'] : ['natural', 'certified']);
        // One part is the loss itself.
        expect(objective.parts).toEqual(natural === 'loss' ? ['naturalLoss', 'robustLoss'] : []);
        return (await runPlan(objective.gradient as Plan, [feeds]))[0] as PlanResult;
      }),
    );
    for (const other of others) {
      expect(other.outputs.loss?.[0]).toBeCloseTo(full?.outputs.loss?.[0] as number, 12);
      expect(other.outputs.certified).toEqual(full?.outputs.certified);
      other.gradients.forEach((gradient, k) => {
        expect(distance(gradient, full?.gradients[k] as Float64Array)).toBeLessThan(1e-12);
      });
    }
    expect(others[0]?.outputs.natural).toEqual(full?.outputs.natural);
  });

  it('has no gradient where the relaxation has none', () => {
    const valuesOnly: Relaxation = { ...interval, name: 'values only', differentiable: false };
    expect(
      createObjective({ network: convolutional, relaxation: valuesOnly, microBatch: 2 }).gradient,
    ).toBeUndefined();
  });
});
