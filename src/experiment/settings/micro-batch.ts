/**
 * Images of a program call where settings leave them open. Small programs spend their time in overheads,
 * large ones in memory, and tight bounds are large: zonotopes carry a column for every pixel and neuron of an
 * image, CROWN slopes of every receptive field, α-CROWN slopes of every margin.
 *
 * The appetite of a relaxation is read off the planned footprint of its programs on a small network, the
 * probe, in multiples of that network's natural training; that of an architecture, off its widest
 * convolution. So a new relaxation or architecture needs no entry here.
 *
 * The run's own plan could not tell: its shapes have the number of images in them, so it would be built, in
 * up to seconds, for a guess and then again. Only classes of appetite matter, and in those the probe agrees
 * with full networks (`micro-batch.test.ts`): multiples of all programs together are the same within a
 * factor of 2.5, and zonotopes, which grow with the network, are above every other on the probe already.
 */
import { datasetNamed } from '../../data/datasets.js';
import { architecture } from '../../network/architectures.js';
import { batchNormNodes } from '../../network/folding.js';
import type { Network } from '../../network/network.js';
import { methods } from '../../objective/methods.js';
import { createObjective } from '../../objective/objective.js';
import { INTERSECTION, type Relaxation, type RelaxationName, relaxations } from '../../relaxation/index.js';
import { onWay } from '../../runtime/plan/step.js';
import { imagesOf } from './images.js';
import type { Settings } from './settings.js';

/** Bytes that one more image takes: in the largest program, and in all programs together. */
interface Growth {
  readonly largest: number;
  readonly sum: number;
}

/** The small network whose programs are planned. */
export const probe = (): Network => architecture('cnn3', [1, 12, 12], 10);

/** The growth with a relaxation, or of natural training, on a network. */
function growth(network: Network, relaxation?: Relaxation): Growth {
  const [few, many] = [8, 16].map((microBatch) => {
    const { value, gradient } = createObjective({ network, relaxation, microBatch });
    // Settings may not depend on which kernels this machine has: those of programs alone count.
    return onWay((gradient ?? value).programs, 'programs').map(({ footprint }) => footprint.peak);
  }) as [number[], number[]];
  const sum = (peaks: readonly number[]) => peaks.reduce((a, b) => a + b, 0);
  return { largest: Math.max(...many) - Math.max(...few), sum: sum(many) - sum(few) };
}

const measured = new Map<string, Growth>();

/** The growth on the probe; undefined is natural training. */
function probed(relaxation?: RelaxationName): Growth {
  const name = relaxation ?? 'none';
  const result = measured.get(name) ?? growth(probe(), relaxation && relaxations[relaxation]);
  measured.set(name, result);
  return result;
}

/** Growth in multiples of natural training; an intersection's is that of its largest part. */
function appetite(relaxation: string): Growth {
  const natural = probed();
  const parts = relaxation.split(INTERSECTION).map((name) => probed(name as RelaxationName));
  return {
    largest: Math.max(...parts.map(({ largest }) => largest)) / natural.largest,
    sum: Math.max(...parts.map(({ sum }) => sum)) / natural.sum,
  };
}

/** The growth with a relaxation on a network, in multiples of natural training's there. */
export function appetiteOn(network: Network, relaxation: RelaxationName): Growth {
  const [natural, own] = [growth(network), growth(network, relaxations[relaxation])];
  return { largest: own.largest / natural.largest, sum: own.sum / natural.sum };
}

/** Classes of appetite, the greatest first. */
export function appetiteClass({
  largest,
  sum,
}: Growth): 'zonotope' | 'back-substitution' | 'margins' | 'small' {
  if (largest > ZONOTOPE) return 'zonotope';
  if (sum > BACK_SUBSTITUTION) return 'back-substitution';
  return sum > MARGINS ? 'margins' : 'small';
}

/** Multiples on the probe: IBP 2, LP 5, CROWN-IBP 13, CROWN 22, α-CROWN 37, hybrid zonotope 87, DeepZ 161. */
const ZONOTOPE = 40;
const BACK_SUBSTITUTION = 20;
const MARGINS = 8;

const networkOf = (settings: Settings): Network => {
  const { shape, classes } = imagesOf(settings);
  return architecture(settings.architecture, shape, classes);
};

/** Channels of the widest convolution: CNN3 and CNN5 have 32, CNN5-L and CNN7 128. */
const isWide = (network: Network): boolean =>
  Math.max(
    ...network.nodes.map(({ layer }) => (layer.output[1] * layer.output[2] > 1 ? layer.output[0] : 0)),
  ) > 64;

/** With 199 attacks for each image the multi-estimator of TAPS takes 20 to 40 times what training takes. */
export const hasManyClasses = (dataset: Settings['dataset']): boolean => datasetNamed(dataset).classes > 100;

/** CNN7 with batch normalisation trains in less than 8 GB on two threads (bench/memory.mjs). */
function largestMicroBatch(settings: Settings, network: Network): number {
  const { uses } = methods[settings.method];
  const wide = isWide(network);
  // A point of the embedding for each wrong class of each image.
  if (
    uses.includes('tapsEstimator') &&
    settings.tapsEstimator === 'multi' &&
    hasManyClasses(settings.dataset)
  )
    return wide ? 2 : 4;
  const size = settings.relaxation === 'none' ? 'small' : appetiteClass(appetite(settings.relaxation));
  if (size === 'zonotope') return 4;
  if (size === 'back-substitution') return wide ? 1 : 16;
  // An attack keeps its own programs open beside those of the bounds.
  if (wide) return uses.includes('attackSteps') ? 16 : 32;
  return size === 'margins' ? 32 : 64;
}

/** Devices with longer rows than a processor's cache holds run so many times as many images. */
const DEVICE_FACTOR = 8;

/**
 * The images of a program call. Where images share statistics the device must not matter: there a micro-batch
 * is part of what is computed.
 */
export function defaultMicroBatch(settings: Settings): number {
  const network = networkOf(settings);
  const isLong = settings.device === 'webgpu' || settings.device === 'cuda';
  const factor = isLong && batchNormNodes(network).length === 0 ? DEVICE_FACTOR : 1;
  return Math.min(settings.batchSize, largestMicroBatch(settings, network) * factor);
}
