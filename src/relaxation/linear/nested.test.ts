import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { neg } from '../../graph/index.js';
import { anyNetworks, BATCH, caseFeeds, excess, marginsOf } from '../../testing/bound-cases.js';
import { boundProblem, runStages } from '../../testing/bound-programs.js';
import { expectGradients, robustLossStages } from '../../testing/gradient-property.js';
import { convolutionalNetworks, smoothNetworks } from '../../testing/random-networks.js';
import { sampleActivations } from '../../testing/sampled-activations.js';
import { withoutNormalization } from '../front.js';
import { interval, intervalBounds } from '../interval.js';
import { crownAll } from './crown.js';
import { crownIbp } from './crown-ibp.js';
import { deepPoly, deepPolyBounds, nestedCrownIbp } from './nested.js';

const networks = fc.oneof(anyNetworks, convolutionalNetworks({ min: 2, max: 3 }), smoothNetworks);
const epsilons = fc.constantFrom(0.01, 0.1, 0.5);
const negated = (values: Float64Array): Float64Array => values.map((v) => -v);

describe('nested relaxations', () => {
  it('are ordered on every margin of every network: IBP ≤ CROWN-IBP ≤ DeepPoly', async () => {
    let [tighter, tightest, pureLooser] = [0, 0, 0];
    const isAbove = (a: Float64Array, b: Float64Array) => a.some((v, i) => v > (b[i] as number) + 1e-6);
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), epsilons, async (net, seed, epsilon) => {
        const feeds = caseFeeds(net, seed, epsilon);
        const [ibp, middle, deep] = [
          await marginsOf(interval, net, feeds),
          await marginsOf(nestedCrownIbp, net, feeds),
          await marginsOf(deepPoly, net, feeds),
        ];
        expect(excess(ibp, middle)).toBeLessThan(1e-12);
        expect(excess(middle, deep)).toBeLessThan(1e-12);
        expect(excess(await marginsOf(crownIbp, net, feeds), middle)).toBeLessThan(1e-12);
        tighter += Number(isAbove(middle, ibp));
        tightest += Number(isAbove(deep, middle));
        pureLooser += Number(isAbove(ibp, await marginsOf(crownAll, net, feeds)));
      }),
      { numRuns: 24 },
    );
    expect(Math.min(tighter, tightest, pureLooser)).toBeGreaterThan(2);
  });

  it('contain every sampled margin and pre-activation, DeepPoly within intervals on every neuron', async () => {
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), epsilons, async (net, seed, epsilon) => {
        const feeds = caseFeeds(net, seed, epsilon);
        const met = await sampleActivations(net, feeds, 300, 3, seed);
        for (const relaxation of [nestedCrownIbp, deepPoly])
          expect(
            excess(await marginsOf(relaxation, net, feeds), met.margins.least),
            relaxation.name,
          ).toBeLessThan(1e-9);
        const problem = withoutNormalization(boundProblem(net, BATCH));
        const shift = net.nodes.length - problem.network.nodes.length;
        const boxes = intervalBounds(problem.network, problem.parameters, problem.box);
        const { stages, before: readBy } = deepPolyBounds(problem);
        const read = problem.network.nodes.flatMap(({ layer, inputs }, k) =>
          (layer.kind === 'relu' || layer.kind === 'activation') && (inputs[0] as number) >= 0
            ? [[k, inputs[0] as number] as const]
            : [],
        );
        const outputs = Object.fromEntries(
          read.flatMap(([k, from]) => [
            [`lower ${from}`, readBy(k).lower],
            [`upper ${from}`, neg(readBy(k).upper)],
            [`box lower ${from}`, boxes[from]?.lower ?? readBy(k).lower],
            [`box upper ${from}`, neg(boxes[from]?.upper ?? readBy(k).upper)],
          ]),
        );
        const [result] = await runStages([...stages, { kind: 'whole', outputs }], [feeds]);
        const made = result?.outputs as Record<string, Float64Array>;
        for (const [, from] of read) {
          const { least, greatest } = met.nodes[from + shift] as (typeof met.nodes)[number];
          const [lower, upper] = [`lower ${from}`, `upper ${from}`].map((name) => made[name] as Float64Array);
          expect(excess(lower as Float64Array, least), `lower bounds of node ${from}`).toBeLessThan(1e-9);
          expect(excess(upper as Float64Array, negated(greatest))).toBeLessThan(1e-9);
          expect(excess(made[`box lower ${from}`] as Float64Array, lower as Float64Array)).toBeLessThan(
            1e-12,
          );
          expect(excess(made[`box upper ${from}`] as Float64Array, upper as Float64Array)).toBeLessThan(
            1e-12,
          );
        }
      }),
      { numRuns: 12 },
    );
  });

  it.each([nestedCrownIbp, deepPoly])('have the gradient that their values show: $name', (relaxation) =>
    expectGradients(networks, (net) => robustLossStages(relaxation, net), { numRuns: 8 }),
  );
});
