/**
 * Number of images that a program of each stage takes: as many as keep its arrays in the processor's cache
 * or, for large networks, its memory within bounds; fewer when few images are left. Sizes depend on network
 * and images alone, so that results do too. A device other than the CPU wants many images at once: as many as
 * its memory holds, up to a limit.
 */
import { featuresOf } from '../../network/layers/layer.js';
import { isChain, type Network } from '../../network/network.js';
import type { RelaxationName } from '../../relaxation/index.js';
import type { MemoryBudget } from '../../runtime/device/memory.js';

/** Relaxations of the cascade, cheapest first. */
export const boundStages = ['ibp', 'crown-ibp', 'crown'] as const;

/** Relaxations whose bounds can have their rounding errors taken off. */
export type SoundStage = (typeof boundStages)[number];
export const isSoundStage = (stage: BoundStage): stage is SoundStage =>
  (boundStages as readonly BoundStage[]).includes(stage);
/** Floats of the rows that those of CROWN carry at once; and boxes of one call. */
export const SOUND_ROWS = 2 ** 23;
const SOUND_BOXES = 4;

/** Relaxations that can be the only one of a certification; those of solvers have tolerances of their own. */
export const provingRelaxations = [
  ...['ibp', 'hbox', 'deepz', 'crown-ibp', 'nested-crown-ibp', 'crown', 'crown-all'],
  ...['deeppoly', 'alpha-crown'],
] as readonly BoundStage[];
export type BoundStage = Exclude<RelaxationName, 'lp' | 'exact'>;

/** Stages that take images in batches. */
export const batchStages = ['natural', ...provingRelaxations, 'attack'] as const;
export type BatchStage = (typeof batchStages)[number];

/** Floats of an array over the widest layer that one program call may make. */
const FLOATS = 2 ** 22;
/**
 * CROWN keeps slopes of a whole receptive field for every place, which grows with the square of the layers;
 * measured on CNN3, CNN5 and CNN7.
 */
const CROWN_SQUARES = 2 ** 31;
/**
 * Floats of the dense coefficients of one image, above which CROWN of networks that are no chains is left
 * out.
 */
const DENSE_FLOATS = 2 ** 27;

const LARGEST: Readonly<Record<BatchStage, number>> = {
  natural: 256,
  ibp: 256,
  hbox: 32,
  deepz: 32,
  'crown-ibp': 64,
  'nested-crown-ibp': 64,
  crown: 32,
  'crown-all': 32,
  deeppoly: 32,
  'alpha-crown': 16,
  attack: 128,
};

/** Stages that bound the neurons of every layer by rows. */
const boundsLayers = (stage: BatchStage): boolean =>
  ['hbox', 'deepz', 'crown', 'crown-all', 'deeppoly', 'alpha-crown'].includes(stage);

/** So many times as many images fit into a call on a device, where its memory allows it. */
const MORE_ON_DEVICES = 8;
/**
 * Arrays over the widest layer that are alive at once, at most, and that the patches of a convolution are as
 * large as.
 */
const ALIVE = 8;
/** Arrays of α and of its search, for each of the margins' rows. */
const ALPHAS = 4;
/** CROWN's squares for each byte of its footprint, at least. */
const SQUARES_PER_BYTE = 8;

/** Sizes that a program call may have. */
interface Limits {
  readonly floats: number;
  readonly squares: number;
  readonly images: number;
}

/** Within the memory of a device; without one, of the CPU. */
function limitsOf(stage: BatchStage, budget: DeviceMemory | undefined): Limits {
  if (budget === undefined) return { floats: FLOATS, squares: CROWN_SQUARES, images: LARGEST[stage] };
  const { memory, array } = budget;
  return {
    floats: Math.min(memory, array) / (4 * ALIVE),
    squares: SQUARES_PER_BYTE * memory,
    images: MORE_ON_DEVICES * LARGEST[stage],
  };
}

/** Memory that programs may take of a device other than the CPU. */
export type DeviceMemory = Pick<MemoryBudget, 'memory' | 'array'>;

export const widestLayer = ({ input, nodes }: Network): number =>
  Math.max(featuresOf(input), ...nodes.map(({ layer }) => featuresOf(layer.output)));

const powerBelow = (n: number): number => 2 ** Math.floor(Math.log2(Math.max(1, n)));
const powerAbove = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

/** The largest batch of a stage: on a device with this memory, or on the CPU. */
export function largestBatch(net: Network, stage: BatchStage, budget?: DeviceMemory): number {
  const widest = widestLayer(net);
  const { floats, squares, images } = limitsOf(stage, budget);
  const within = (most: number): number => Math.min(images, powerBelow(most));
  const rows = floats / (widest * (net.classes - 1));
  if (stage === 'crown-ibp' || stage === 'nested-crown-ibp') return within(rows);
  const dense = (isChain(net) ? squares : floats / 2) / (widest * widest);
  // Many images of a small network: on a device the margins' rows are what counts; α-CROWN has several arrays
  // of them.
  const most = Math.min(dense, stage === 'alpha-crown' ? rows / ALPHAS : rows);
  if (boundsLayers(stage)) return within(budget === undefined ? dense : most);
  return within(floats / widest);
}

/** The same of bounds in float64, dense, whose rows a stage carries for all boxes at once. */
export const largestSoundBatch = (net: Network, stage: BatchStage): number =>
  stage === 'crown' ? Math.min(SOUND_BOXES, largestBatch(net, stage)) : largestBatch(net, stage);

/**
 * Batch for `count` images: the largest, or a part of them, so that even few occupy several threads and
 * little is padding. A device is one worker's, which takes them all.
 */
export const batchFor = (largest: number, count: number, parts = 4): number =>
  Math.min(largest, powerAbove(count / parts));

/** Reason for which a stage cannot be run on a network; undefined if it can. `sound`: in float64, dense. */
export function whySkipped(net: Network, stage: BatchStage, sound = false): string | undefined {
  const dense = 2 * widestLayer(net) ** 2;
  if (!boundsLayers(stage) || (isChain(net) && !sound) || dense <= DENSE_FLOATS) return undefined;
  return `dense back-substitution of ${widestLayer(net)} neurons needs too much memory`;
}
