/** A part of a certification: some images of a data set, certified by themselves. */
import { datasetNamed } from '../data/datasets.js';
import { Failure } from '../experiment/errors.js';
import { misfitOf } from '../experiment/misfit.js';
import { readDataset } from '../experiment/read-dataset.js';
import { trainedNetwork } from '../experiment/trained-network.js';
import { VERSION } from '../experiment/version.js';
import type { DeviceChoice } from '../runtime/device/device.js';
import { chooseDevice } from '../runtime/survey/devices.js';
import { certify } from '../verification/certification/cascade.js';
import { fingerprintOf } from '../verification/certification/journal.js';
import type { CertificationOptions } from '../verification/certification/options.js';
import type { CertificationReport } from '../verification/certification/verdict.js';

/** What is certified, wherever that is done. Plain data. */
export interface CertifiedWhat {
  /** Folder of a finished run, or an ONNX file. */
  readonly path: string;
  readonly dataset: string;
  readonly dataDir?: string;
  readonly epsilon: number;
  readonly clipBox: boolean;
  readonly attack: { readonly steps?: number; readonly restarts?: number };
  readonly relaxation?: CertificationOptions['relaxation'];
  /** Whether proofs bound their rounding errors. */
  readonly sound?: boolean;
  readonly seed?: number;
  /** Limits of branch and bound for an image; not at all unless given. */
  readonly complete?: { readonly seconds: number; readonly bytes: number };
  /** `fingerprintOf` of network, images and ball: what another machine must have, too. */
  readonly fingerprint: string;
}

/** Images start, …, end − 1 of it, to be certified here. */
export interface CertifyWork {
  readonly kind: 'certify';
  readonly id: string;
  readonly what: CertifiedWhat;
  readonly start: number;
  readonly end: number;
  readonly threads: number;
  readonly device?: DeviceChoice;
}

/** Report of a part without what is of the whole. */
export type PartReport = Pick<CertificationReport, 'verdicts' | 'stages'>;

/**
 * @throws Failure where network or images differ from those that were meant; UsageError, DataError,
 * FileError; the reason of `signal`
 */
export async function certifyPart(work: CertifyWork, signal?: AbortSignal): Promise<PartReport> {
  const { what, start, end, threads } = work;
  const { path, dataset, dataDir, epsilon, clipBox, fingerprint, complete, ...options } = what;
  const { attack, relaxation, sound, seed } = options;
  datasetNamed(dataset);
  const { network, parameters, exact, double, trainedFor } = await trainedNetwork(path, {
    signal,
    fromFile: what.sound,
  });
  const read = await readDataset(dataset, { dataDir, pool: trainedFor.pool, signal });
  const misfit = misfitOf(network, read);
  if (misfit !== undefined) throw new Failure(`${path}: ${misfit}`);
  const { test: split } = read;
  if (
    fingerprintOf(network, parameters, split, { epsilon, clip: clipBox }, VERSION, { sound, exact }) !==
    fingerprint
  )
    throw new Failure(`${path}: expected the network and images of who asked, got others; share the folder`);
  const { verdicts, stages } = await certify({
    ...{
      network,
      parameters,
      exact,
      double,
      split,
      epsilon,
      clipBox,
      attack,
      relaxation,
      sound,
      seed,
      threads,
      signal,
    },
    indices: Array.from({ length: end - start }, (_, i) => start + i),
    device: await chooseDevice(work.device ?? 'cpu'),
    ...(complete && { complete: { secondsPerImage: complete.seconds, memoryBytes: complete.bytes } }),
  });
  return { verdicts, stages };
}
