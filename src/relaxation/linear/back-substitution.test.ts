import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluate, input } from '../../graph/index.js';
import { joinLayer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { INPUT, type Network, network } from '../../network/network.js';
import { BATCH, caseFeeds, excess, marginsOf } from '../../testing/bound-cases.js';
import { boundProblem, randomBox, runStages } from '../../testing/bound-programs.js';
import { normalNumbers } from '../../testing/numbers.js';
import { distance } from '../../testing/operator-check.js';
import { denseNetworks, residualNetworks } from '../../testing/random-networks.js';
import { sampleActivations } from '../../testing/sampled-activations.js';
import { concretize } from './back-substitution.js';
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
      { numRuns: 8 },
    );
  },
);

test('the least value of a linear function over a box, of one box and of several', () => {
  for (const batch of [1, 3])
    for (const hasConstant of [false, true]) {
      const [features, rows] = [4, 2];
      const shape = [features, batch] as const;
      const bound = {
        coefficients: input('a', [features, rows * batch], 'float64'),
        constant: hasConstant ? input('constant', [1, rows * batch], 'float64') : undefined,
      };
      const box = { lower: input('l', shape, 'float64'), upper: input('u', shape, 'float64') };
      const [a, constant] = [normalNumbers('a', features * rows * batch), normalNumbers('c', rows * batch)];
      const ends = randomBox(batch, features, batch, 0.5);
      const feeds = { a, l: ends.lower, u: ends.upper, ...(hasConstant && { constant }) };
      const [found] = evaluate([concretize(bound, box)], feeds) as [Float64Array];
      for (let column = 0; column < rows * batch; column++) {
        let least = hasConstant ? (constant[column] as number) : 0;
        for (let i = 0; i < features; i++) {
          const factor = a[i * rows * batch + column] as number;
          const end = factor > 0 ? ends.lower : ends.upper;
          least += factor * (end[i * batch + (column % batch)] as number);
        }
        expect(found[column]).toBeCloseTo(least, 12);
      }
    }
});

test.each([crown, deepPoly])('$name bounds one image as it bounds two', async (relaxation) => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(denseNetworks, residualNetworks), fc.nat(1e6), async (net, seed) => {
      const feeds = caseFeeds(net, seed, 0.1) as Record<string, Float64Array | Int32Array>;
      const firstOf = (values: Float64Array | Int32Array) => values.filter((_, i) => i % BATCH === 0);
      const { lower, upper, labels } = feeds as Record<'lower' | 'upper' | 'labels', Float64Array>;
      const one = { ...feeds, lower: firstOf(lower), upper: firstOf(upper), labels: firstOf(labels) };
      const { stages, margins } = relaxation.bound(boundProblem(net, 1));
      const [result] = await runStages([...stages, { kind: 'whole', outputs: { margins } }], [one]);
      const both = firstOf(await marginsOf(relaxation, net, feeds));
      expect(distance(result?.outputs.margins as Float64Array, both as Float64Array)).toBeLessThan(1e-12);
    }),
    { numRuns: 4 },
  );
});
