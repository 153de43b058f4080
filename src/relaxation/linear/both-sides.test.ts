import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isConstant } from '../../graph/operators/leaves.js';
import { sizeOf, topologicalOrder } from '../../graph/tensor.js';
import { activationLayer, featuresOf, joinLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { INPUT, type Network, network } from '../../network/network.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { planFootprint } from '../../runtime/plan/memory.js';
import { anyNetworks, BATCH, caseFeeds } from '../../testing/bound-cases.js';
import { boundProblem, runStages } from '../../testing/bound-programs.js';
import { hybridZonotope } from '../zonotope/hybrid-zonotope.js';
import { crown } from './crown.js';
import { deepPoly } from './nested.js';

/** Linear layers with smooth activations between them and a way around the second. */
function smooth(inputs: number, width: number, classes = 3): Network {
  const extents = [width, 1, 1] as const;
  return network(
    `smooth ${width}`,
    [inputs, 1, 1],
    [
      { layer: linearLayer([inputs, 1, 1], width), inputs: [INPUT] },
      { layer: activationLayer(extents, 'tanh'), inputs: [0] },
      { layer: linearLayer(extents, width), inputs: [1] },
      { layer: joinLayer(extents), inputs: [2, 1] },
      { layer: activationLayer(extents, 'sigmoid'), inputs: [3] },
      { layer: linearLayer(extents, classes), inputs: [4] },
    ],
  );
}

const stagesOf = (relaxation: typeof crown, net: Network, rowFloats?: number, dtype?: 'float32') => {
  const { stages, margins } = relaxation.bound({ ...boundProblem(net, BATCH, dtype), rowFloats });
  return [...stages, { kind: 'whole', outputs: { margins } } as const];
};

describe('both bounds of all neurons', () => {
  it('are the same in pieces of any size, behind ReLUs and smooth activations', async () => {
    const networks = fc.oneof(
      anyNetworks,
      fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 2, max: 9 })).map(([a, b]) => smooth(a, b)),
    );
    await fc.assert(
      fc.asyncProperty(
        networks,
        fc.nat(1e6),
        fc.integer({ min: 1, max: 200 }),
        fc.constantFrom(crown, deepPoly, hybridZonotope),
        async (net, seed, rowFloats, relaxation) => {
          const feeds = [caseFeeds(net, seed, 0.2)];
          const [whole] = await runStages(stagesOf(relaxation, net), feeds);
          const [pieces] = await runStages(stagesOf(relaxation, net, rowFloats), feeds);
          const [wanted, found] = [whole, pieces].map((result) => result?.outputs.margins as Float64Array);
          wanted?.forEach((value, i) => {
            expect(Math.abs((found?.[i] as number) - value)).toBeLessThan(1e-12 * (1 + Math.abs(value)));
          });
        },
      ),
      { numRuns: 15 },
    );
  });

  it('take no array larger than allowed, with smooth activations too', () => {
    const net = smooth(5, 600);
    const largest = (rowFloats?: number) =>
      planFootprint(createPlan(stagesOf(crown, net, rowFloats, 'float32'))).largest;
    const weights = 4 * 600 * 600;
    expect(featuresOf(net.input)).toBe(5);
    expect(largest()).toBe(4 * 600 * 1200 * BATCH);
    expect(largest(2 ** 17)).toBe(weights);
    // Beside a few pieces little more than weights is alive at once; all rows would be 16 times as much.
    const { peak } = planFootprint(createPlan(stagesOf(crown, net, 2 ** 17, 'float32')));
    expect(peak).toBeLessThan(6 * weights);
  });

  it.each([
    ['crown', crown],
    ['hbox', hybridZonotope],
  ] as const)('take no square array of a layer of some thousands of neurons, with %s', (_, relaxation) => {
    const net = smooth(3, 4096);
    const stages = stagesOf(relaxation, net, undefined, 'float32');
    const outputs = stages.flatMap((stage) => (stage.kind === 'whole' ? Object.values(stage.outputs) : []));
    const arrays = topologicalOrder(outputs);
    const largest = (of: typeof arrays) => Math.max(...of.map(({ shape }) => sizeOf(shape)));
    // Numbers of features, and tables of a few rows of them.
    expect(largest(arrays.filter(isConstant))).toBeLessThan(4096 * 1024);
    // Rows in pieces, no larger than the weights themselves.
    expect(largest(arrays)).toBe(4096 * 4096);
    expect(arrays.some(({ shape: [rows, ...rest] }) => rows === 4096 && sizeOf(rest) >= 8192)).toBe(false);
  });
});
