/** Margins of several relaxations on one random problem, for tests that compare them. */
import { addAll, mul, neg, step, total } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import { intervalBounds } from '../relaxation/interval.js';
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
export async function marginsOf(
  relaxations: readonly Relaxation[],
  net: Network,
  feeds: Feeds,
): Promise<Float64Array[]> {
  const bounds = relaxations.map((relaxation) => relaxation.bound(boundProblem(net, BATCH)));
  const results: Float64Array[] = [];
  for (const { stages, margins } of bounds) {
    const [result] = await runStages([...stages, { kind: 'whole', outputs: { margins } }], [feeds]);
    results.push(result?.outputs.margins as Float64Array);
  }
  return results;
}

/** How many ReLUs intervals leave unstable, over all images. */
export async function unstableNeurons(net: Network, feeds: Feeds): Promise<number> {
  const { parameters, box } = boundProblem(net, BATCH);
  const bounds = intervalBounds(net, parameters, box);
  const counts = net.nodes.flatMap(({ layer, inputs }) => {
    const { lower, upper } = bounds[inputs[0] as number] ?? box;
    return layer.kind === 'relu' ? [total(mul(step(neg(lower)), step(upper)))] : [];
  });
  if (counts.length === 0) return 0;
  const [result] = await runStages([{ kind: 'whole', outputs: { unstable: addAll(counts) } }], [feeds]);
  return Number(result?.outputs.unstable?.[0]);
}

/** Greatest amount by which `lower` exceeds `upper`, relative to 1 + its size: at most 0 if no entry does. */
export const excess = (lower: Float64Array, upper: Float64Array): number =>
  lower.reduce(
    (worst, value, i) => Math.max(worst, (value - (upper[i] as number)) / (1 + Math.abs(value))),
    Number.NEGATIVE_INFINITY,
  );
