/** Options of a certification, their checks, and its progress. */

import type { Split } from '../../data/dataset.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import type { ParameterArrays } from '../../network/parameters.js';
import type { Device } from '../../runtime/device/device.js';
import type { Pool } from '../../runtime/pool/pool.js';
import {
  type BatchStage,
  type BoundStage,
  boundStages,
  isSoundStage,
  provingRelaxations,
} from '../proof/batch-size.js';
import type { BoxTrace } from '../proof/trace.js';
import type { StageName, Verdict } from './verdict.js';

/** Progress of the search for one image. */
export interface ImageProgress {
  readonly image: number;
  /** Parts of the ball bounded so far. */
  readonly subproblems: number;
  /** The least bound of what is open, beside what would prove it; undefined before there is one. */
  readonly lowerBound?: number;
}

/** Progress of a certification, told after each batch. */
export interface CertificationProgress {
  readonly stage: StageName;
  /**
   * Images of this stage done, and in all; an attack passes the images that are left once for each restart.
   */
  readonly done: number;
  readonly total: number;
  /** Images decided so far, in all stages. */
  readonly certified: number;
  readonly falsified: number;
  /**
   * Of branch and bound: images that it had to leave, images in all, and where it is with the present one.
   */
  readonly search?: { readonly undecided: number; readonly images: number; readonly current?: ImageProgress };
}

/** Verdicts that outlive their process: those of earlier processes, and where each new one goes at once. */
export interface VerdictStore {
  readonly known: ReadonlyMap<number, Verdict>;
  append(verdict: Verdict): void;
}

/** Branch and bound on what all other stages leave open. */
export interface CompleteOptions {
  /** Wall clock for each image (default 60). */
  readonly secondsPerImage?: number;
  /** Bytes that open subproblems of an image may take (default 2 GiB). */
  readonly memoryBytes?: number;
  /** Images that it knows of are not searched again. */
  readonly store?: VerdictStore;
  /** Takes how each image was proved, for a certificate (`imageCertificate`). */
  readonly traced?: (image: number, traces: readonly BoxTrace[]) => void;
}

/** What is certified, at which radius, and what may be tried. */
export interface CertificationOptions {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  /** Those that float32 does not hold, as the model's file has them. */
  readonly exact?: Readonly<Record<string, Float64Array>>;
  /** Whether the model computes in float64: then proofs and counterexamples are of that, with `exact`. */
  readonly double?: boolean;
  /**
   * Bounds in float64, of `exact`, less a bound of all their rounding errors: proofs that hold for
   * adversarially chosen weights too (default false).
   */
  readonly sound?: boolean;
  readonly split: Split;
  /** Radius of the ball ‖x' − x‖∞ ≤ ε in pixels, in (0, 1]. */
  readonly epsilon: number;
  /** Cut the ball to [0, 1] (default true). */
  readonly clipBox?: boolean;
  /** Only the first images of the split (default all). */
  readonly limit?: number;
  /** Only these images of the split, ascending, instead of `limit`: verdicts name them by these indices. */
  readonly indices?: readonly number[];
  readonly attack?: {
    /** Gradient steps of a restart (default 40). */
    readonly steps?: number;
    /** Random starts for each image (default 3). */
    readonly restarts?: number;
  };
  /** Seed of the attack's random starts (default 0). */
  readonly seed?: number;
  /** Worker threads (default: as many as the processor runs at once). */
  readonly threads?: number;
  /** Device that runs the programs (default cpu). */
  readonly device?: Device;
  /** Memory that programs may take of a device, of which batches follow (default: most of what is free). */
  readonly deviceMegabytes?: number;
  /** Workers to use instead of own ones; left open. */
  readonly pool?: Pool;
  /** Largest batches, where they should differ from what suits the network. */
  readonly batchSizes?: Readonly<Partial<Record<BatchStage, number>>>;
  /** The only relaxation that proves (default: IBP, CROWN-IBP and CROWN, one after the other). */
  readonly relaxation?: BoundStage;
  /** Decides what is left by branch and bound (default: not). */
  readonly complete?: CompleteOptions;
  readonly progress?: (progress: CertificationProgress) => void;
  readonly signal?: AbortSignal;
}

/** The images that are certified. */
export const imagesOf = ({
  split,
  limit,
  indices,
}: Pick<CertificationOptions, 'split' | 'limit' | 'indices'>): readonly number[] =>
  indices ?? Array.from({ length: limit ?? split.count }, (_, image) => image);

/** @throws RangeError for options that make no sense */
export function checkOptions(options: CertificationOptions): void {
  const { network, parameters, split, epsilon, attack = {}, batchSizes = {}, complete = {} } = options;
  const refuse = (expected: string, got: unknown): never => {
    throw new RangeError(`certify: expected ${expected}, got ${got}`);
  };
  if (!(epsilon > 0 && epsilon <= 1)) refuse('ε in (0, 1], in pixels', epsilon);
  const { relaxation } = options;
  if (relaxation !== undefined && !provingRelaxations.includes(relaxation))
    refuse(`a relaxation of ${provingRelaxations.join(', ')}`, relaxation);
  if (options.sound && relaxation !== undefined && !isSoundStage(relaxation))
    refuse(`a relaxation of ${boundStages.join(', ')} with \`sound\``, relaxation);
  if (network.classes < 2) refuse('a network with at least 2 classes', network.classes);
  if (split.count < 1) refuse('at least one image', split.count);
  const features = split.images.length / split.count;
  if (features !== featuresOf(network.input))
    refuse(`images of ${network.input.join('×')} as the network reads them`, `${features} pixels`);
  const counts = {
    limit: options.limit,
    'attack steps': attack.steps,
    'attack restarts': attack.restarts,
    ...batchSizes,
  };
  for (const [name, value] of Object.entries(counts))
    if (value !== undefined && !(Number.isInteger(value) && value >= 1))
      refuse(`${name} to be an integer ≥ 1`, value);
  for (const [name, value] of Object.entries({
    'seconds per image': complete.secondsPerImage,
    'bytes of memory': complete.memoryBytes,
  }))
    if (value !== undefined && !(value > 0)) refuse(`${name} to be above 0`, value);
  checkImages(options, refuse);
  for (const [name, array] of Object.entries(parameters))
    if (!array.every(Number.isFinite)) refuse(`finite numbers in the parameter ${name}`, 'others');
}

function checkImages(
  { network, split, limit, indices }: CertificationOptions,
  refuse: (expected: string, got: unknown) => never,
): void {
  if (limit !== undefined && limit > split.count)
    refuse(`at most ${split.count} images, all there are`, limit);
  if (indices !== undefined) {
    if (limit !== undefined) refuse('`indices` or `limit`', 'both');
    if (indices.length === 0) refuse('at least one image', 'none');
    const wrong = indices.find(
      (image, i) =>
        !(
          Number.isInteger(image) &&
          image < split.count &&
          image > (i === 0 ? -1 : (indices[i - 1] as number))
        ),
    );
    if (wrong !== undefined) refuse(`ascending indices below ${split.count}`, wrong);
  }
  const strange = imagesOf({ split, limit, indices })
    .map((image) => split.labels[image] as number)
    .find((label) => label < 0 || label >= network.classes);
  if (strange !== undefined)
    refuse(`labels from 0 to ${network.classes - 1}, the network's classes`, strange);
}
