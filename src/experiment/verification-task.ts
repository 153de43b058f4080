/**
 * What `verify` is given, read and checked: a network, the model that it was read from, and a property over
 * them.
 */
import type { Split } from '../data/dataset.js';
import { datasetNamed } from '../data/datasets.js';
import { pooledDescription, poolingFrom } from '../data/pooled.js';
import { FileError } from '../formats/file-error.js';
import { FormatError } from '../formats/format-error.js';
import { decodeOnnx, type OnnxModel } from '../formats/onnx.js';
import { type ReadLimits, readUnpacked } from '../formats/read-limited.js';
import { readVnnlib, type VnnlibProperty } from '../formats/vnnlib.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import { interfaceOf } from '../network/onnx/interface.js';
import { type Model, openModel } from '../runtime/execution/model.js';
import { paddedBatch } from '../verification/certification/evaluation.js';
import { propertyFor, propertyOf } from '../verification/property/from-vnnlib.js';
import { plainLinks } from '../verification/property/links.js';
import { centreOf } from '../verification/property/property.js';
import { type Ball, robustnessProperty } from '../verification/property/robustness.js';
import { type Verification, type VerifyOptions, verify } from '../verification/search/verify.js';
import { type NetworkOfBoxes, verifyBoxes } from '../verification/search/verify-boxes.js';
import { UsageError } from './errors.js';
import { networksOfBoxes } from './networks-of-boxes.js';
import { isPlain, type ModelTask, type NamedModel, pathsOf, readQueryTask } from './query-task.js';
import { readDataset } from './read-dataset.js';
import { foundAt, type NetworkReading, trainedNetwork } from './trained-network.js';

export interface VerificationTask extends ModelTask {
  /** The test image whose ball the property is about, where it is one. */
  readonly image?: ImageTask;
}

/** A test image and its ball. */
export interface ImageTask {
  readonly split: Split;
  readonly index: number;
  readonly ball: Ball;
}

/** One image of a data set's test split, and the ball around it. */
export interface ImageChoice extends NetworkReading {
  /** Default: that of the run. */
  readonly dataset?: string;
  /** Radius ε in pixels (default: that of the run). */
  readonly epsilon?: number;
  readonly index: number;
  readonly clipBox?: boolean;
  readonly dataDir?: string;
}

/**
 * Reads a model and makes the property that no image of the ball around one test image is given another label
 * than the image's.
 * @throws UsageError, one line, for what is missing or does not fit
 */
export async function readRobustnessTask(modelPath: string, choice: ImageChoice): Promise<VerificationTask> {
  return reading(async () => {
    const { network, parameters, exact, double, file, trainedFor } = await trainedNetwork(modelPath, {
      distinct: true,
      ...choice,
    });
    const { dataset = trainedFor.dataset, index } = choice;
    const epsilon =
      choice.epsilon ?? (trainedFor.epsilon === undefined ? undefined : Number(trainedFor.epsilon));
    if (dataset === undefined)
      throw new UsageError(
        `--dataset: expected a value, got none, and ${modelPath} does not say; give --dataset`,
      );
    if (epsilon === undefined)
      throw new UsageError(
        `--epsilon: expected a value, got none, and ${modelPath} does not say; give --epsilon`,
      );
    if (!(epsilon > 0 && epsilon <= 1))
      throw new UsageError(
        `${modelPath}: expected an ε in (0, 1], in pixels, got ${trainedFor.epsilon}; give --epsilon`,
      );
    const definition = pooledDescription(datasetNamed(dataset), poolingFrom(trainedFor.pool ?? 'none'));
    const sizes = { inputs: featuresOf(network.input), outputs: network.classes };
    if (sizes.inputs !== featuresOf(definition.shape) || sizes.outputs !== definition.classes)
      throw new UsageError(
        `${modelPath}: expected a network on the ${featuresOf(definition.shape)} pixels and ` +
          `${definition.classes} classes of ${dataset}, got ${sizes.inputs} inputs and ${sizes.outputs} ` +
          'outputs; choose another --dataset',
      );
    const { test } = await readDataset(dataset, {
      dataDir: choice.dataDir ?? trainedFor.dataDir,
      pool: trainedFor.pool,
      signal: choice.signal,
    });
    if (index >= test.count)
      throw new UsageError(
        `--index: expected a test image of ${dataset}, 0 to ${test.count - 1}, got ${index}`,
      );
    const { images, labels } = paddedBatch({ split: test, network }, [index], 1);
    const around = { epsilon, clip: choice.clipBox ?? trainedFor.clipBox ?? true };
    const property = robustnessProperty(images, labels[0] as number, around, network.classes);
    const model = await openModelFile(file, network, choice);
    const image = { split: test, index, ball: around };
    return { network, parameters, exact, double, property, file, image, model };
  });
}

/**
 * Reads models, ONNX files or the folders of finished runs, and a VNN-LIB file.
 * @param models one, or those of the networks of a query
 * @throws UsageError, one line, for files that are missing, not what they should be, or do not fit each
 *  other; the reason of `signal`
 */
export async function readVerificationTask(
  models: string | readonly NamedModel[],
  propertyPath: string,
  limits: NetworkReading = {},
): Promise<VerificationTask> {
  return reading(() => read<VerificationTask>(models, propertyPath, limits, undefined));
}

/** What is made of a query whose model is refused as a network. */
type Otherwise<T> = (query: VnnlibProperty, path: string, refusal: UsageError) => Promise<T>;

async function read<T>(
  models: string | readonly NamedModel[],
  propertyPath: string,
  how: NetworkReading,
  otherwise: Otherwise<T> | undefined,
): Promise<VerificationTask | T> {
  const limits = { distinct: true, ...how };
  const given = typeof models === 'string' ? [{ path: models }] : models;
  for (const { path } of given) await foundAt(path);
  const query = await readVnnlib(propertyPath, limits);
  if (!isPlain(query)) return readQueryTask(query, given, limits);
  const [modelPath = '', other] =
    query.networks === undefined ? given.map(({ path }) => path) : pathsOf(query, given).values();
  if (other !== undefined) throw new UsageError(`--network: expected one model, got ${other} too`);
  const trained = await trainedNetwork(modelPath, limits).catch((error: unknown) => {
    if (otherwise && error instanceof UsageError && error.cause instanceof FormatError) return error;
    throw error;
  });
  if (trained instanceof UsageError) return (otherwise as Otherwise<T>)(query, modelPath, trained);
  const { network, parameters, exact, double, file } = trained;
  const sizes = { inputs: featuresOf(network.input), outputs: network.classes };
  // A first extent that is a batch to the file's reader is one of the input's to a query.
  if (query.networks !== undefined && sizes.inputs !== query.inputs)
    return readQueryTask(query, given, limits);
  const property = propertyFor(query, sizes);
  const bytes = await readUnpacked(file, limits);
  limits.signal?.throwIfAborted();
  const declared = query.networks?.[0];
  if (declared !== undefined) interfaceOf(declared, decodeOnnx(bytes, file), file);
  const model = await openModel(bytes, sizes, file);
  const { links } = declared === undefined ? {} : { links: plainLinks(sizes.inputs) };
  return {
    ...{ network, parameters, exact, double, property, file, model },
    ...(links && { query, links }),
  };
}

/** A model that no network stands for everywhere, with those that do on some boxes of its property. */
export interface BoxesTask extends Omit<ModelTask, 'network' | 'parameters' | 'exact'> {
  readonly networks: readonly NetworkOfBoxes[];
  /** Reason for which polytopes have no network. */
  readonly without: string;
  readonly image?: undefined;
}

/**
 * The same for files that are read box by box, or not at all: what ONNX Runtime runs can be attacked.
 * @throws as `readVerificationTask`, for files that ONNX Runtime does not run either
 */
export function readVerification(
  models: string | readonly NamedModel[],
  propertyPath: string,
  limits: NetworkReading = {},
): Promise<VerificationTask | BoxesTask> {
  return reading(() => read(models, propertyPath, limits, (...about) => boxesTask(limits, ...about)));
}

/** The task of a query whose model is refused as a network. */
async function boxesTask(
  limits: ReadLimits,
  query: VnnlibProperty,
  file: string,
  refusal: UsageError,
): Promise<BoxesTask> {
  const refused = (): never => {
    limits.signal?.throwIfAborted();
    throw refusal;
  };
  const bytes = await readUnpacked(file, limits).catch(refused);
  const decoded = decoding(bytes, file) ?? refused();
  const property = propertyOf(query);
  const declared = query.networks?.[0];
  if (declared !== undefined) interfaceOf(declared, decoded, file);
  const { inputs, outputs } = property;
  const model = await openModel(bytes, { inputs, outputs }, file).catch(refused);
  const [first] = property.polytopes;
  const values = first && (await model.run(centreOf(first.box)));
  if (values?.every(Number.isFinite) === false) {
    await model.close();
    refused();
  }
  let networks: NetworkOfBoxes[] = [];
  let without = refusal.message;
  try {
    networks = networksOfBoxes(decoded, property, file);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    without = error.message;
  }
  const double = decoded.inputs.some(({ type }) => type === 'DOUBLE');
  const links = declared && plainLinks(inputs);
  return { networks, without, double, property, file, model, ...(links && { query, links }) };
}

function decoding(bytes: Uint8Array, file: string): OnnxModel | undefined {
  try {
    return decodeOnnx(bytes, file);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** The verification of a task, with ONNX Runtime running its files as the judge of counterexamples. */
export function verifyTask(
  task: VerificationTask | BoxesTask,
  { traced, ...options }: Omit<VerifyOptions, 'network' | 'parameters' | 'property'>,
): Promise<Verification> {
  const evaluate = options.evaluate ?? ((x: Float32Array) => task.model.run(x));
  return 'networks' in task
    ? verifyBoxes({ ...task, ...options, evaluate })
    : verify({ ...task, ...options, traced, evaluate });
}

/**
 * The model of a network's own file, which judges counterexamples; to be closed.
 * @throws FileError; the reason of the limits' signal
 */
export async function openModelFile(file: string, network: Network, limits: ReadLimits = {}): Promise<Model> {
  const bytes = await readUnpacked(file, limits);
  limits.signal?.throwIfAborted();
  return openModel(bytes, { inputs: featuresOf(network.input), outputs: network.classes }, file);
}

/** Files that are not what they should be are mistakes of who named them. */
async function reading<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof FormatError || error instanceof FileError)
      throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
