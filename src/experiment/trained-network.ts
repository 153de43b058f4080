/** A trained network from where it was left: a run folder, or an ONNX file of ours or anybody else's. */
import { existsSync, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { poolingFrom } from '../data/pooled.js';
import { FileError, toFileError } from '../formats/file-error.js';
import { FormatError } from '../formats/format-error.js';
import { type ReadLimits, readUnpacked } from '../formats/read-limited.js';
import { foldedNetwork } from '../network/folding.js';
import type { Network } from '../network/network.js';
import { importOnnx } from '../network/onnx/import.js';
import { decodeParameters, type ParameterArrays } from '../network/parameters.js';
import { Failure, UsageError } from './errors.js';
import { networkOf } from './prepare-training.js';
import { loadLast } from './run/checkpoint-folder.js';
import { readRun } from './run/run-folder.js';
import { imagesOf } from './settings/images.js';

/** A network with its trained parameters, and what its run or file says of them. */
export interface TrainedNetwork {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  /** Of a file: its parameters that float32 does not hold. */
  readonly exact?: Readonly<Record<string, Float64Array>>;
  /** Whether it is a file that computes in float64. */
  readonly double?: boolean;
  /** What it was trained on and for, as far as its folder or file says; of a file, unchecked text. */
  readonly trainedFor: {
    readonly dataset?: string;
    /** A number in pixels of [0, 1], or text of one. */
    readonly epsilon?: number | string;
    readonly clipBox?: boolean;
    readonly dataDir?: string;
    /** How its images were pooled, "2 max"; not at all unless given. */
    readonly pool?: string;
  };
  /** Its ONNX file: what any other tool would run. */
  readonly file: string;
  /** Where verdicts on it belong unless somebody says otherwise. */
  readonly certificate: string;
}

/** How a network is read. */
export interface NetworkReading extends ReadLimits {
  /**
   * Of a run, its ONNX file's own numbers rather than the run's: the file rounds the constants of the
   * normalisation (default false).
   */
  readonly fromFile?: boolean;
  /**
   * Of a file, one of several neurons that are equal or opposite (`importOnnx`; default false, true of what
   * is verified).
   */
  readonly distinct?: boolean;
}

/**
 * Reads the network of a finished run (a folder) or of a model (a file).
 * @throws UsageError if nothing is there, or something that is neither or cannot be read; Failure for a run
 *  that is not finished; the reason of the limits' signal
 */
export async function trainedNetwork(path: string, how: NetworkReading = {}): Promise<TrainedNetwork> {
  const { fromFile, ...limits } = how;
  const found = await foundAt(path);
  const trained = found.isDirectory() ? await ofRun(path, limits) : await ofModel(path, limits);
  if (fromFile && found.isDirectory()) return withNumbersOf(trained.file, trained, limits);
  for (const [name, array] of Object.entries(trained.parameters))
    if (!array.every(Number.isFinite))
      throw new Failure(
        `${path}: expected finite parameters, got others in ${name}; its training has diverged`,
      );
  return trained;
}

/** A run's network as its ONNX file has it; any other as it is. @throws as `trainedNetwork` */
export const asFile = async <Given extends object>(given: Given): Promise<Given> => {
  const { path, file } = given as { readonly path?: string; readonly file?: string };
  return path !== undefined && file !== undefined ? withNumbersOf(file, given) : given;
};

async function withNumbersOf<Given extends object>(
  file: string,
  given: Given,
  limits: ReadLimits = {},
): Promise<Given> {
  const { network, parameters, exact, double } = await ofModel(file, limits);
  const { name } = (given as unknown as TrainedNetwork).network;
  return { ...given, network: { ...network, name }, parameters, exact, double };
}

/** What is at the path of a run or a model. @throws UsageError if nothing is, or its name cannot be given */
export const foundAt = (path: string): Promise<Stats> =>
  stat(path).catch((error: NodeJS.ErrnoException) => {
    // Names that are no UTF-8 have a line of their own.
    if ((error.code === 'ENOENT' && !path.includes('\ufffd')) || error.code === 'ENOTDIR')
      throw new UsageError(
        `${path}: expected the folder of a run or an ONNX file, there is nothing; check the path`,
      );
    throw new UsageError(toFileError(path, 'read', error).message, { cause: error });
  });

async function ofRun(path: string, limits: ReadLimits): Promise<TrainedNetwork> {
  const { settings, paths } = await readRun(path);
  // What a run leaves has its batch normalisation folded away.
  const network = foldedNetwork(networkOf(settings, imagesOf(settings)));
  if (!existsSync(paths.parameters)) throw await unfinished(path, paths.checkpoints);
  const bytes = await contentOf(paths.parameters, limits);
  const { dataset, epsilon, clipBox, dataDir } = settings;
  const pooled = settings.pool === 'none' ? {} : { pool: settings.pool };
  return {
    network,
    parameters: refusing(`it is damaged, take ${paths.network} or train again`, () =>
      decodeParameters(network, bytes, paths.parameters),
    ),
    trainedFor: { dataset, epsilon, clipBox, dataDir, ...pooled },
    file: paths.network,
    certificate: join(path, 'certificate.jsonl'),
  };
}

async function unfinished(path: string, checkpoints: string): Promise<Failure> {
  const last = await loadLast(checkpoints).catch((error: Error) => error);
  if (last instanceof Error)
    return new Failure(`${path}: expected a finished run, it cannot go on either: ${last.message}`);
  const got =
    last === undefined
      ? 'it is unfinished and has no whole checkpoint yet'
      : `it is unfinished, its last checkpoint is ${last.path}`;
  return new Failure(
    `${path}: expected a finished run, ${got}; finish it with \`tautnet train --resume ${path}\``,
  );
}

async function ofModel(path: string, { distinct, ...limits }: NetworkReading): Promise<TrainedNetwork> {
  const bytes = await contentOf(path, limits);
  const { network, parameters, exact, double, metadata } = refusing(
    'expected the folder of a run or an ONNX file',
    () => importOnnx(bytes, path, { distinct }),
  );
  const name = basename(path).replace(/(\.onnx)?(\.gz)?$/, '');
  const { dataset, epsilon, pool = '' } = metadata;
  const trainedFor = { dataset, epsilon, ...(poolingFrom(pool) && { pool }) };
  return {
    network,
    parameters,
    exact,
    double,
    trainedFor,
    file: path,
    certificate: `${name}.certificate.jsonl`,
  };
}

/** A file that is not what it should be is a mistake of who named it. */
function refusing<T>(advice: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw error instanceof FormatError
      ? new UsageError(`${error.message}; ${advice}`, { cause: error })
      : error;
  }
}

/** The file itself, or that of the run: named by the user, so that a mistake is the user's. */
const contentOf = (path: string, limits: ReadLimits): Promise<Buffer> =>
  readUnpacked(path, limits).catch((error: unknown) => {
    if (!(error instanceof FormatError || error instanceof FileError)) throw error;
    throw new UsageError(error.message, { cause: error });
  });
