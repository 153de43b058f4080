/** Margins of several relaxations on one random problem, for tests that compare them. */
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import { boundProblem, type Feeds, randomBox, runStages } from './bound-programs.js';
import { randomLabels } from './numbers.js';
import { randomParameters } from './random-networks.js';

export const BATCH = 2;

/** Random parameters, labels and boxes of radii up to ε for a network, in float64. */
export const randomFeeds = (net: Network, seed: number, epsilon: number): Feeds => ({
  ...randomParameters(net, seed),
  ...randomBox(seed, featuresOf(net.input), BATCH, epsilon),
  labels: randomLabels(`labels ${seed}`, BATCH, net.classes),
});

/** The margins [classes − 1, batch] of each relaxation, in their order. */
export async function marginsOf(relaxations: readonly Relaxation[], net: Network, feeds: Feeds): Promise<Float64Array[]> {
  const bounds = relaxations.map((relaxation) => relaxation.bound(boundProblem(net, BATCH)));
  const results: Float64Array[] = [];
  for (const { stages, margins } of bounds) {
    const [result] = await runStages([...stages, { kind: 'whole', outputs: { margins } }], [feeds]);
    results.push(result?.outputs.margins as Float64Array);
  }
  return results;
}

/** Greatest amount by which `lower` exceeds `upper`, relative to 1 + its size: at most 0 if no entry does. */
export const excess = (lower: Float64Array, upper: Float64Array): number =>
  lower.reduce((worst, value, i) => Math.max(worst, (value - (upper[i] as number)) / (1 + Math.abs(value))), Number.NEGATIVE_INFINITY);
