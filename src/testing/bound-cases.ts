/**
 * Random bound problems for properties of relaxations: networks, boxes around the same pixels, and what
 * bounds may exceed.
 */
import fc from 'fast-check';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import { boundProblem, type Feeds, randomBox, runStages } from './bound-programs.js';
import { randomLabels } from './numbers.js';
import {
  convolutionalNetworks,
  denseNetworks,
  randomParameters,
  residualNetworks,
} from './random-networks.js';

/** Images of one problem. */
export const BATCH = 2;

/** Dense, convolutional and residual networks. */
export const anyNetworks: fc.Arbitrary<Network> = fc.oneof(
  denseNetworks,
  convolutionalNetworks(),
  residualNetworks,
);

/** Feeds of a bound problem, radii up to ε. */
export const caseFeeds = (net: Network, seed: number, epsilon: number): Feeds => ({
  ...randomParameters(net, seed),
  ...randomBox(seed, featuresOf(net.input), BATCH, epsilon),
  labels: randomLabels(`labels ${seed}`, BATCH, net.classes),
});

/** Margins of a relaxation, [classes − 1, batch]. */
export async function marginsOf(relaxation: Relaxation, net: Network, feeds: Feeds): Promise<Float64Array> {
  const { stages, margins } = relaxation.bound(boundProblem(net, BATCH));
  const [result] = await runStages([...stages, { kind: 'whole', outputs: { margins } }], [feeds]);
  return result?.outputs.margins as Float64Array;
}

/**
 * Greatest amount by which a lower bound exceeds a value, beside its size; at most 0 for a sound bound and
 * exact arithmetic.
 */
export const excess = (lower: ArrayLike<number>, values: ArrayLike<number>): number =>
  Array.from(lower).reduce(
    (worst, bound, i) => Math.max(worst, (bound - (values[i] as number)) / Math.max(1, Math.abs(bound))),
    Number.NEGATIVE_INFINITY,
  );
