import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinLayer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { INPUT, type Network, network } from '../../network/network.js';
import { BATCH, caseFeeds, excess, marginsOf } from '../../testing/bound-cases.js';
import { sampleActivations } from '../../testing/sampled-activations.js';
import { crown } from './crown.js';
import { crownIbp } from './crown-ibp.js';
import { deepPoly, nestedCrownIbp } from './nested.js';

/** Two ways around a layer, and two of what a ReLU gives: summands of one node that wait for each other. */
function manyWays(inputs: number, width: number, classes: number): Network {
  const extents = [width, 1, 1] as const;
  return network(
    'many ways',
    [inputs, 1, 1],
    [
      { layer: linearLayer([inputs, 1, 1], width), inputs: [INPUT] },
      { layer: reluLayer(extents), inputs: [0] },
      { layer: linearLayer(extents, width), inputs: [1] },
      { layer: reluLayer(extents), inputs: [2] },
      { layer: joinLayer(extents), inputs: [1, 3, 1] },
      { layer: joinLayer(extents), inputs: [4, 3, 1] },
      { layer: reluLayer(extents), inputs: [5] },
      { layer: linearLayer(extents, classes), inputs: [6] },
    ],
  );
}

test.each([crownIbp, crown, nestedCrownIbp, deepPoly])(
  '$name: no sampled margin is below its bound where several branches send to one node',
  async (relaxation) => {
    const sizes = fc.tuple(fc.integer({ min: 2, max: 4 }), fc.integer({ min: 2, max: 6 }));
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.nat(1e6),
        fc.constantFrom(0.01, 0.2),
        async ([inputs, width], seed, epsilon) => {
          const net = manyWays(inputs, width, 3);
          const feeds = caseFeeds(net, seed, epsilon);
          const { margins } = await sampleActivations(net, feeds, 300, 3, seed);
          const found = await marginsOf(relaxation, net, feeds);
          expect(found).toHaveLength(2 * BATCH);
          expect(excess(found, margins.least)).toBeLessThan(1e-9);
        },
      ),
      { numRuns: 12 },
    );
  },
);
