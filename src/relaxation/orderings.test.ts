import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  abs,
  add,
  concat,
  gradient,
  mul,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
  total,
} from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain, logits, type Network } from '../network/network.js';
import { boundProblem, type Feeds, randomBox, runStages } from '../testing/bound-programs.js';
import { randomLabels } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import {
  convolutionalNetworks,
  denseNetworks,
  randomParameters,
  residualNetworks,
} from '../testing/random-networks.js';
import { sampleActivations } from '../testing/sampled-activations.js';
import { withoutNormalization } from './front.js';
import { interval, intervalBounds } from './interval.js';
import { crown, crownBounds, crownWith } from './linear/crown.js';
import { crownIbp } from './linear/crown-ibp.js';
import { type Bounds, type Relaxation, specificationMargins } from './relaxation.js';

const BATCH = 2;
const networks = fc.oneof(denseNetworks, convolutionalNetworks(), residualNetworks);
const everyNeuron: Relaxation = crownWith({ all: true });

/** Feeds of a bound problem with radii up to each ε, around the same pixels. */
function nested(net: Network, seed: number, epsilons: readonly number[]): Feeds[] {
  const shared = {
    ...randomParameters(net, seed),
    labels: randomLabels(`labels ${seed}`, BATCH, net.classes),
  };
  const { lower, upper } = randomBox(seed, featuresOf(net.input), BATCH, 1);
  return epsilons.map((epsilon) => {
    const inward = (near: Float64Array, far: Float64Array) =>
      near.map((v, i) => v + ((1 - epsilon) / 2) * ((far[i] as number) - v));
    return { ...shared, lower: inward(lower, upper), upper: inward(upper, lower) };
  });
}

/** Margins of a relaxation for each of the feeds. */
async function marginsOf(
  relaxation: Relaxation,
  net: Network,
  feeds: readonly Feeds[],
): Promise<Float64Array[]> {
  const { stages, margins } = relaxation.bound(boundProblem(net, BATCH));
  const results = await runStages([...stages, { kind: 'whole', outputs: { margins } }], feeds);
  return results.map(({ outputs }) => outputs.margins as Float64Array);
}

/**
 * For each of the feeds, margins and the bounds of all pre-activations, one layer after the other: by CROWN,
 * or by intervals.
 */
async function details(net: Network, feeds: readonly Feeds[], options: { all: boolean } | 'intervals') {
  const problem = boundProblem(net, BATCH);
  const { network: front, parameters, box } = withoutNormalization(problem);
  const values = intervalBounds(front, parameters, box);
  const { stages, before } =
    options === 'intervals'
      ? { stages: [], before: (relu: number) => values[front.nodes[relu]?.inputs[0] as number] ?? box }
      : crownBounds(withoutNormalization(problem), options);
  const { margins } = (options === 'intervals' ? crownIbp : crownWith(options)).bound(problem);
  const relus = front.nodes.flatMap(({ layer }, k) => (layer.kind === 'relu' ? [before(k)] : []));
  const flat = (side: keyof Bounds) =>
    concat(
      relus.map((bounds) => bounds[side]),
      0,
    );
  const results = await runStages(
    [
      ...stages,
      { kind: 'whole', outputs: { margins, 'all lower': flat('lower'), 'all upper': flat('upper') } },
    ],
    feeds,
  );
  return results.map(({ outputs }) => {
    const made = outputs as Record<string, Float64Array>;
    return {
      margins: made.margins as Float64Array,
      lower: made['all lower'] as Float64Array,
      upper: made['all upper'] as Float64Array,
    };
  });
}

/** Whether each neuron keeps its sign. */
const stability = ({ lower, upper }: { lower: Float64Array; upper: Float64Array }): boolean[] =>
  [...lower].map((l, i) => l >= 0 || (upper[i] as number) <= 0);

/**
 * Margins' minima over boxes on which the network is affine: m_j(c) − |∇m_j(c)|·r at the centre c, by
 * reverse-mode differentiation.
 */
async function affineMinima(net: Network, feeds: Feeds): Promise<Float64Array> {
  const { parameters, specification, box } = boundProblem(net, BATCH);
  const centre = mul(add(box.lower, box.upper), 0.5);
  const x = add(centre, 0);
  const values = reshape(logits(net, parameters, x), [net.classes, 1, BATCH]);
  const margins = reshape(
    sum(mul(specificationMargins(specification, net.classes, 'float64'), values), [0]),
    [net.classes - 1, BATCH],
  );
  const radius = mul(sub(box.upper, box.lower), 0.5);
  const minima = Array.from({ length: net.classes - 1 }, (_, j) => {
    const row = slice(margins, 0, j, j + 1);
    const [slope] = gradient(total(row), [x]) as [Tensor];
    return sub(row, reshape(sum(mul(abs(slope), radius), [0]), [1, BATCH]));
  });
  const [result] = await runStages([{ kind: 'whole', outputs: { minima: concat(minima, 0) } }], [feeds]);
  return result?.outputs.minima as Float64Array;
}

describe('margins of relaxations', () => {
  it.each([
    ['ibp', interval],
    ['crown-ibp', crownIbp],
    ['crown', crown],
    ['crown of every neuron', everyNeuron],
  ])('are exact in a single point: %s', async (_, relaxation) => {
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), async (net, seed) => {
        const [point] = nested(net, seed, [0]) as [Feeds];
        const [bound] = (await marginsOf(relaxation, net, [point])) as [Float64Array];
        expect(distance(bound, (await sampleActivations(net, point, 2, 0, seed)).margins.least)).toBeLessThan(
          1e-12,
        );
      }),
      { numRuns: 6 },
    );
  });

  it('fall as ε grows, for intervals', async () => {
    let fell = 0;
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), async (net, seed) => {
        const margins = await marginsOf(interval, net, nested(net, seed, [0, 0.01, 0.1, 0.3, 1]));
        margins.slice(1).forEach((wider, i) => {
          const narrower = margins[i] as Float64Array;
          for (const [j, value] of wider.entries())
            expect(value).toBeLessThanOrEqual((narrower[j] as number) + 1e-12 * (1 + Math.abs(value)));
        });
        // A network whose ReLUs are all off stays.
        if (margins.at(-1)?.every((value, i) => value < (margins[0]?.[i] as number))) fell++;
      }),
      { numRuns: 10 },
    );
    expect(fell).toBeGreaterThan(0);
  });

  it('are exact for CROWN and CROWN-IBP where no neuron is unstable, and intervals are at most as high', async () => {
    const epsilons = [0.5, 0.05, 1e-3, 1e-6];
    let shrunk = 0;
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), async (net, seed) => {
        const boxes = nested(net, seed, epsilons);
        const chosen = (await details(net, boxes, 'intervals')).findIndex((bounds) =>
          stability(bounds).every(Boolean),
        );
        if (chosen < 0) return; // a pre-activation within a millionth of zero
        if (chosen > 0) shrunk++;
        const feeds = boxes[chosen] as Feeds;
        const exact = await affineMinima(net, feeds);
        for (const relaxation of [crownIbp, crown, everyNeuron])
          expect(
            distance((await marginsOf(relaxation, net, [feeds]))[0] as Float64Array, exact),
            relaxation.name,
          ).toBeLessThan(1e-12);
        for (const [i, value] of ((await marginsOf(interval, net, [feeds]))[0] as Float64Array).entries())
          expect(value).toBeLessThanOrEqual((exact[i] as number) + 1e-12 * (1 + Math.abs(value)));
      }),
      { numRuns: 10 },
    );
    expect(shrunk).toBeGreaterThan(0);
  });

  it('are the same for all relaxations, and exact, of one affine layer', async () => {
    const net = chain('affine', [7, 1, 1], [linearLayer([7, 1, 1], 4)]);
    const [feeds] = nested(net, 3, [0.7]) as [Feeds];
    const exact = await affineMinima(net, feeds);
    for (const relaxation of [interval, crownIbp, crown]) {
      const [margins] = (await marginsOf(relaxation, net, [feeds])) as [Float64Array];
      expect(distance(margins, exact), relaxation.name).toBeLessThan(1e-12);
    }
  });

  it('do not depend on back-substituting neurons that intervals prove stable, unless back-substitution cannot prove them so', async () => {
    let agreed = 0;
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), fc.constantFrom(0.05, 0.2, 1), async (net, seed, epsilon) => {
        const feeds = nested(net, seed, [epsilon]);
        const [some] = await details(net, feeds, { all: false });
        const [every] = await details(net, feeds, { all: true });
        if (some === undefined || every === undefined) throw new Error('no bounds');
        const kept = stability(every);
        // A neuron that only intervals prove stable has another relaxation in each; then neither margin need
        // be the higher one.
        if (stability(some).some((isStable, i) => isStable && !kept[i])) return;
        agreed++;
        expect(distance(some.margins, every.margins)).toBeLessThan(1e-12);
      }),
      { numRuns: 15 },
    );
    expect(agreed).toBeGreaterThan(0);
  });
});
