import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { input, total } from '../../graph/index.js';
import { marginCrossEntropy } from '../../objective/losses.js';
import type { PlanResult } from '../../runtime/execution/executor.js';
import type { IterateStage } from '../../runtime/plan/plan.js';
import { boundProblem, runStages } from '../../testing/bound-programs.js';
import { distance } from '../../testing/operator-check.js';
import {
  convolutionalNetworks,
  denseNetworks,
  randomParameters,
  residualNetworks,
} from '../../testing/random-networks.js';
import { BATCH, excess, marginsOf, randomFeeds } from '../../testing/relaxation-margins.js';
import { linearProgram } from '../solver/linear-program.js';
import { alphaCrown, alphaCrownWith } from './alpha-crown.js';
import { crown } from './crown.js';

const networks = fc.oneof(denseNetworks, convolutionalNetworks(), residualNetworks);

describe('α-CROWN', () => {
  it('is nowhere below CROWN and nowhere above the triangle LP, and closes most of the gap between them', async () => {
    const closed: number[] = [];
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), fc.constantFrom(0.1, 0.3), async (net, seed, epsilon) => {
        const [low, high, found] = (await marginsOf(
          [crown, linearProgram, alphaCrown],
          net,
          randomFeeds(net, seed, epsilon),
        )) as [Float64Array, Float64Array, Float64Array];
        expect(excess(low, found), 'crown above alpha-crown').toBeLessThan(1e-12);
        expect(excess(found, high), 'alpha-crown above lp').toBeLessThan(1e-8);
        found.forEach((value, i) => {
          const gap = (high[i] as number) - (low[i] as number);
          if (gap > 1e-4) closed.push((value - (low[i] as number)) / gap);
        });
      }),
      { numRuns: 15 },
    );
    expect(closed.length).toBeGreaterThan(0);
    expect(closed.reduce((sum, share) => sum + share, 0) / closed.length).toBeGreaterThan(0.5);
  });

  it('is CROWN without iterations, and rises with them', async () => {
    let rises = 0;
    await fc.assert(
      fc.asyncProperty(denseNetworks, fc.nat(), async (net, seed) => {
        const options = [0, 1, 60].map((iterations) => alphaCrownWith({ iterations }));
        const [low, none, one, many] = (await marginsOf(
          [crown, ...options],
          net,
          randomFeeds(net, seed, 0.3),
        )) as [Float64Array, Float64Array, Float64Array, Float64Array];
        expect(distance(none, low)).toBeLessThan(1e-13);
        // The first step is the same in both: its size does not depend on how many follow.
        expect(excess(one, many)).toBeLessThan(1e-12);
        if (excess(many, one) > 1e-4) rises++;
      }),
      { numRuns: 12 },
    );
    expect(rises).toBeGreaterThan(0);
  });

  it('has the derivative in the parameters that the α found has as a constant', async () => {
    let searched = 0;
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), async (net, seed) => {
        const feeds = randomFeeds(net, seed, 0.3);
        const names = Object.keys(randomParameters(net, seed));
        const { stages, margins } = alphaCrown.bound(boundProblem(net, BATCH));
        const loss = total(marginCrossEntropy(margins));
        const at = stages.findIndex(({ kind }) => kind === 'iterate');
        const found = Object.entries((stages[at] as IterateStage).next).filter(([name]) =>
          name.startsWith('α best'),
        );
        const outputs = Object.fromEntries(
          found.map(([name, { shape }]) => [`found ${name}`, input(name, shape, 'float64')]),
        );
        const [searching] = (await runStages(
          [...stages, { kind: 'whole', outputs: { loss, ...outputs } }],
          [feeds],
          names,
        )) as [PlanResult];
        const fixed = Object.fromEntries(
          found.map(([name]) => [name, searching.outputs[`found ${name}`] as Float64Array]),
        );
        if (Object.values(fixed).some((alpha) => alpha.some((a) => a > 0 && a < 1))) searched++;
        const [held] = (await runStages(
          [...stages.slice(0, at - 1), { kind: 'whole', outputs: { loss } }],
          [{ ...feeds, ...fixed }],
          names,
        )) as [PlanResult];
        expect(distance(searching.outputs.loss ?? [], held.outputs.loss ?? [])).toBeLessThan(1e-13);
        searching.gradients.forEach((gradient, i) => {
          expect(distance(gradient, held.gradients[i] as Float64Array), names[i]).toBeLessThan(1e-12);
        });
      }),
      { numRuns: 12 },
    );
    expect(searched).toBeGreaterThan(0);
  });

  it('refuses searches that make no sense', () => {
    expect(() => alphaCrownWith({ iterations: -1 })).toThrow(
      /^alpha-crown: expected iterations to be an integer ≥ 0, got -1; /,
    );
    expect(() => alphaCrownWith({ stepSize: 0 })).toThrow(
      /^alpha-crown: expected a stepSize above 0, got 0; /,
    );
  });
});
