/**
 * How many images a program of each stage takes: as many as keep its arrays in the processor's cache or, for large networks, its
 * memory within bounds; fewer when few images are left. Sizes depend on network and images alone, so that results do too.
 */
import { featuresOf } from '../network/layers/layer.js';
import { isChain, type Network } from '../network/network.js';
import type { BatchStage } from './verdict.js';

/** Floats of an array over the widest layer that one program call may make. */
const FLOATS = 2 ** 22;
/** CROWN keeps slopes of a whole receptive field for every place, which grows with the square of the layers; measured on CNN3, CNN5 and CNN7. */
const CROWN_SQUARES = 2 ** 31;
/** Floats of the dense coefficients of one image, above which CROWN of networks that are no chains is left out. */
const DENSE_FLOATS = 2 ** 27;

const LARGEST: Readonly<Record<BatchStage, number>> = { natural: 256, ibp: 256, 'crown-ibp': 64, crown: 32, attack: 128 };

export const widestLayer = ({ input, nodes }: Network): number => Math.max(featuresOf(input), ...nodes.map(({ layer }) => featuresOf(layer.output)));

const powerBelow = (n: number): number => 2 ** Math.floor(Math.log2(Math.max(1, n)));
const powerAbove = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

/** The largest batch of a stage. */
export function largestBatch(net: Network, stage: BatchStage): number {
  const widest = widestLayer(net);
  const within = (floats: number): number => Math.min(LARGEST[stage], powerBelow(floats));
  if (stage === 'crown-ibp') return within(FLOATS / (widest * (net.classes - 1)));
  if (stage === 'crown') return within((isChain(net) ? CROWN_SQUARES : FLOATS / 2) / (widest * widest));
  return within(FLOATS / widest);
}

/** Batch for `count` images: the largest, or a quarter of them, so that even few occupy several threads and little is padding. */
export const batchFor = (largest: number, count: number): number => Math.min(largest, powerAbove(count / 4));

/** Why a stage cannot be run on a network; undefined if it can. */
export function whySkipped(net: Network, stage: BatchStage): string | undefined {
  const dense = 2 * widestLayer(net) ** 2;
  if (stage !== 'crown' || isChain(net) || dense <= DENSE_FLOATS) return undefined;
  return `dense back-substitution of ${widestLayer(net)} neurons needs too much memory`;
}
