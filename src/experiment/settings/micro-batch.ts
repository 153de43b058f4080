/**
 * Images of a program call where settings leave them open. Small programs spend their time in overheads,
 * large ones in memory, and tight bounds are large: CROWN and zonotopes carry slopes of every receptive
 * field, α-CROWN slopes of every margin.
 *
 * The appetite of a relaxation is read off the planned footprint of its programs on a small network, the
 * probe, in multiples of that network's natural training; that of an architecture, off its widest
 * convolution. So a new relaxation or architecture needs no entry here.
 *
 * The run's own plan could not tell: its shapes have the number of images in them, so it would be built, in
 * up to seconds, for a guess and then again. Only classes of appetite matter, and in those the probe agrees
 * with full networks (`micro-batch.test.ts`): multiples are the same within a factor of 2.5.
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

/** The small network whose programs are planned. */
export const probe = (): Network => architecture('cnn3', [1, 12, 12], 10);

/** Bytes that one more image takes in all programs, with a relaxation or of natural training. */
function growth(network: Network, relaxation?: Relaxation): number {
  const [few, many] = [8, 16].map((microBatch) => {
    const { value, gradient } = createObjective({ network, relaxation, microBatch });
    // Settings may not depend on which kernels this machine has: those of programs alone count.
    return onWay((gradient ?? value).programs, 'programs').map(({ footprint }) => footprint.peak);
  }) as [number[], number[]];
  const sum = (peaks: readonly number[]) => peaks.reduce((a, b) => a + b, 0);
  return sum(many) - sum(few);
}

const measured = new Map<string, number>();

/** The growth on the probe; undefined is natural training. */
function probed(relaxation?: RelaxationName): number {
  const name = relaxation ?? 'none';
  const result = measured.get(name) ?? growth(probe(), relaxation && relaxations[relaxation]);
  measured.set(name, result);
  return result;
}

/** Growth in multiples of natural training; an intersection's is that of its largest part. */
function appetite(relaxation: string): number {
  const parts = relaxation.split(INTERSECTION).map((name) => probed(name as RelaxationName));
  return Math.max(...parts) / probed();
}

/** The growth with a relaxation on a network, in multiples of natural training's there. */
export const appetiteOn = (network: Network, relaxation: RelaxationName): number =>
  growth(network, relaxations[relaxation]) / growth(network);

/** Classes of appetite, the greatest first. */
export function appetiteClass(multiple: number): 'back-substitution' | 'margins' | 'small' {
  if (multiple > BACK_SUBSTITUTION) return 'back-substitution';
  return multiple > MARGINS ? 'margins' : 'small';
}

/**
 * Multiples on the probe: IBP 2, LP 5, CROWN-IBP 13, hybrid zonotope 16, nested CROWN-IBP 17, DeepZ 20, CROWN
 * 22, DeepPoly 35, α-CROWN 37.
 */
const BACK_SUBSTITUTION = 18;
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
  if (size === 'back-substitution') return wide ? 1 : 32;
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
