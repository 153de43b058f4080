import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { total } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import { marginCrossEntropy } from '../objective/losses.js';
import { boundProblem, randomBox, runStages, withCapacities } from '../testing/bound-programs.js';
import { expectGradients, robustLossStages } from '../testing/gradient-property.js';
import { randomLabels } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import {
  convolutionalNetworks,
  denseNetworks,
  randomParameters,
  residualNetworks,
} from '../testing/random-networks.js';
import { interval } from './interval.js';
import { crown, crownWith } from './linear/crown.js';
import { crownIbp } from './linear/crown-ibp.js';
import type { Relaxation } from './relaxation.js';

const BATCH = 2;
const DIRECTIONS = 6;

/** Stages whose output `loss` is the summed robust cross-entropy. */
function lossStages(relaxation: Relaxation, net: Network, capacities: readonly number[]) {
  const { stages, margins } = relaxation.bound(boundProblem(net, BATCH));
  return [
    ...withCapacities(stages, capacities),
    { kind: 'whole', outputs: { loss: total(marginCrossEntropy(margins)) } } as const,
  ];
}

const boxFeeds = (net: Network, seed: number, epsilon: number) => ({
  ...randomBox(seed, featuresOf(net.input), BATCH, epsilon),
  labels: randomLabels(`labels ${seed}`, BATCH, net.classes),
});

describe('the gradient of the robust loss in the parameters', () => {
  const networks = fc.oneof(denseNetworks, convolutionalNetworks(), residualNetworks);
  it.each([
    ['ibp', interval],
    ['crown-ibp', crownIbp],
    ['crown', crown],
    ['crown of every neuron', crownWith({ all: true })],
  ])('is its directional derivative wherever that exists: %s', (_, relaxation) =>
    expectGradients(networks, (net) => withCapacities(robustLossStages(relaxation, net), [16]), {
      numRuns: 12,
      directions: DIRECTIONS,
    }),
  );

  it('does not depend on how rows are split into programs', async () => {
    await fc.assert(
      fc.asyncProperty(convolutionalNetworks({ min: 2, max: 2 }), fc.nat(), async (net, seed) => {
        const feeds = [{ ...randomParameters(net, seed), ...boxFeeds(net, seed, 0.2) }];
        const [whole, split] = await Promise.all(
          [[128], [2, 8]].map(
            async (capacities) =>
              (
                await runStages(
                  lossStages(crown, net, capacities),
                  feeds,
                  Object.keys(randomParameters(net, seed)),
                )
              )[0],
          ),
        );
        whole?.gradients.forEach((expected, k) => {
          expect(distance(split?.gradients[k] as Float64Array, expected)).toBeLessThan(1e-12);
        });
      }),
      { numRuns: 6 },
    );
  });
});
