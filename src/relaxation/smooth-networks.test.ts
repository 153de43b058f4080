/** Relaxations of networks with sigmoid and tanh, some beside ReLUs. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { neg, total } from '../graph/index.js';
import { activationLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain, type Network } from '../network/network.js';
import { BATCH, caseFeeds, excess, marginsOf } from '../testing/bound-cases.js';
import { boundProblem, runStages } from '../testing/bound-programs.js';
import { expectGradients, robustLossStages } from '../testing/gradient-property.js';
import { distance } from '../testing/operator-check.js';
import { smoothNetworks } from '../testing/random-networks.js';
import { sampleActivations } from '../testing/sampled-activations.js';
import { hybridZonotopeBounds } from '../testing/zonotopes/by-generators.js';
import { withoutNormalization } from './front.js';
import { interval, intervalBounds } from './interval.js';
import { alphaCrownWith } from './linear/alpha-crown.js';
import { crown, crownBounds } from './linear/crown.js';
import { crownIbp } from './linear/crown-ibp.js';
import { isNonlinear } from './linear/nonlinear.js';
import { exact } from './solver/exact.js';
import { linearProgram } from './solver/linear-program.js';
import { hybridZonotope } from './zonotope/hybrid-zonotope.js';
import { zonotope } from './zonotope/zonotope.js';

const alphaCrown = alphaCrownWith({ iterations: 5 });
const relaxations = [interval, hybridZonotope, zonotope, crownIbp, crown, alphaCrown];
/** What lines moved outwards by their slack cost a margin, of networks of this size. */
const ROUNDING = 1e-11;

describe('of networks with sigmoid and tanh', () => {
  it('margins of every relaxation are below those of every point, and at a point they are its own', async () => {
    await fc.assert(
      fc.asyncProperty(
        smoothNetworks,
        fc.nat(),
        fc.constantFrom(0, 0.05, 0.5, 3),
        async (net, seed, epsilon) => {
          const feeds = caseFeeds(net, seed, epsilon);
          const { margins } = await sampleActivations(net, feeds, 300, 3, seed);
          for (const relaxation of relaxations) {
            const lower = await marginsOf(relaxation, net, feeds);
            expect(excess(lower, margins.least), relaxation.name).toBeLessThan(1e-12);
            if (epsilon === 0) expect(distance(lower, margins.least), relaxation.name).toBeLessThan(ROUNDING);
          }
        },
      ),
      { numRuns: 6 },
    );
  });

  it('bounds of what each activation reads contain every point, by CROWN within intervals where the activation is smooth', async () => {
    await fc.assert(
      fc.asyncProperty(smoothNetworks, fc.nat(), fc.constantFrom(0.1, 1), async (net, seed, epsilon) => {
        const feeds = caseFeeds(net, seed, epsilon);
        const problem = withoutNormalization(boundProblem(net, BATCH));
        const shift = net.nodes.length - problem.network.nodes.length;
        const { stages, before: boundsBefore } = crownBounds(problem);
        const read = problem.network.nodes.flatMap(({ layer, inputs }, k) =>
          isNonlinear(layer) && (inputs[0] as number) >= 0 ? [[k, inputs[0] as number] as const] : [],
        );
        const outputs = Object.fromEntries(
          read.flatMap(([k, from]) => [
            [`lower ${from}`, boundsBefore(k).lower],
            [`upper ${from}`, neg(boundsBefore(k).upper)],
          ]),
        );
        const [result] = await runStages([...stages, { kind: 'whole', outputs }], [feeds]);
        const met = await sampleActivations(net, feeds, 300, 3, seed);
        for (const [, from] of read) {
          const range = met.nodes[from + shift];
          expect(excess(result?.outputs[`lower ${from}`] as Float64Array, range?.least ?? [])).toBeLessThan(
            1e-12,
          );
          expect(
            excess(result?.outputs[`upper ${from}`] as Float64Array, range?.greatest.map((v) => -v) ?? []),
          ).toBeLessThan(1e-12);
        }
      }),
      { numRuns: 10 },
    );
  });

  it('α-CROWN is at least as tight as CROWN, and HBox as intervals on every neuron', async () => {
    await fc.assert(
      fc.asyncProperty(smoothNetworks, fc.nat(), fc.constantFrom(0.05, 0.5), async (net, seed, epsilon) => {
        const feeds = caseFeeds(net, seed, epsilon);
        expect(
          excess(await marginsOf(crown, net, feeds), await marginsOf(alphaCrown, net, feeds)),
        ).toBeLessThan(1e-12);
        const problem = boundProblem(net, BATCH);
        const hybrid = hybridZonotopeBounds(problem);
        const boxes = intervalBounds(problem.network, problem.parameters, problem.box);
        const outputs = Object.fromEntries(
          hybrid.flatMap(({ lower, upper }, k) => [
            [`hybrid ${k} lower`, lower],
            [`hybrid ${k} upper`, neg(upper)],
            [`box ${k} lower`, boxes[k]?.lower ?? lower],
            [`box ${k} upper`, neg(boxes[k]?.upper ?? upper)],
          ]),
        );
        const [result] = await runStages([{ kind: 'whole', outputs }], [feeds]);
        const made = result?.outputs as Record<string, Float64Array>;
        for (let k = 0; k < hybrid.length; k++)
          for (const side of ['lower', 'upper'])
            expect(
              excess(made[`box ${k} ${side}`] as Float64Array, made[`hybrid ${k} ${side}`] as Float64Array),
              `node ${k}`,
            ).toBeLessThan(ROUNDING);
      }),
      { numRuns: 10 },
    );
  });

  it('α-CROWN gains by choosing tangents', async () => {
    let [gained, count] = [0, 0];
    await fc.assert(
      fc.asyncProperty(smoothNetworks, fc.nat(), async (net, seed) => {
        const feeds = caseFeeds(net, seed, 1);
        const [none, some] = [await marginsOf(crown, net, feeds), await marginsOf(alphaCrown, net, feeds)];
        some.forEach((value, i) => {
          count++;
          if (value > (none[i] as number) + 1e-3) gained++;
        });
      }),
      { numRuns: 6 },
    );
    expect(gained / count).toBeGreaterThan(0.3);
  });

  it('the fused loss is above the cross-entropy of every point', async () => {
    await fc.assert(
      fc.asyncProperty(smoothNetworks, fc.nat(), fc.constantFrom(0.05, 0.5), async (net, seed, epsilon) => {
        const feeds = caseFeeds(net, seed, epsilon);
        const fused = crownIbp.fused?.(boundProblem(net, BATCH));
        const [result] = await runStages(
          [
            {
              kind: 'whole',
              outputs: { loss: fused?.loss ?? total(interval.bound(boundProblem(net, BATCH)).margins) },
            },
          ],
          [feeds],
        );
        const { margins } = await sampleActivations(net, feeds, 1, 0, seed);
        for (let b = 0; b < BATCH; b++) {
          const sum = Array.from({ length: net.classes - 1 }, (_, j) =>
            Math.exp(-(margins.least[j * BATCH + b] as number)),
          ).reduce((a, v) => a + v, 1);
          expect(result?.outputs.loss?.[b]).toBeGreaterThan(Math.log(sum) - 1e-12);
        }
      }),
      { numRuns: 8 },
    );
  });

  it.each(
    [interval, hybridZonotope, zonotope, crownIbp, crown].map(
      (relaxation) => [relaxation.name, relaxation] as const,
    ),
  )(
    'the gradient of the robust loss is its directional derivative wherever that exists: %s',
    (_, relaxation) =>
      expectGradients(smoothNetworks, (net) => robustLossStages(relaxation, net), { numRuns: 4 }),
  );

  it('what only knows ReLUs says so, with the layer', () => {
    const net: Network = chain(
      'n',
      [3, 1, 1],
      [linearLayer([3, 1, 1], 4), activationLayer([4, 1, 1], 'tanh'), linearLayer([4, 1, 1], 2)],
    );
    for (const relaxation of [linearProgram, exact])
      expect(() => relaxation.bound(boundProblem(net, BATCH))).toThrow(
        `${relaxation.name}: expected ReLUs as the only activations, got tanh at node 1 of n; take another relaxation, such as crown`,
      );
  });
});
