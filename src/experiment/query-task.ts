/**
 * Queries of VNN-LIB 2.0 with several networks, several inputs or outputs of one, or hidden tensors: their
 * models as one network over the free inputs, and the files themselves, run one after another, as the judge
 * of counterexamples.
 */
import { stat } from 'node:fs/promises';
import { decodeOnnx, type OnnxModel } from '../formats/onnx.js';
import { type ReadLimits, readUnpacked } from '../formats/read-limited.js';
import { type NetworkDeclaration, tensorsOf, type VnnlibProperty } from '../formats/vnnlib.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import { checkOpset, importModel } from '../network/onnx/import.js';
import { type Interface, interfaceOf } from '../network/onnx/interface.js';
import { productModel } from '../network/onnx/product.js';
import type { ParameterArrays } from '../network/parameters.js';
import type { Model } from '../runtime/execution/model.js';
import { openTensorModel, type TensorModel } from '../runtime/execution/tensor-model.js';
import { linkedPropertyOf } from '../verification/property/from-vnnlib.js';
import { type Links, linksOf } from '../verification/property/links.js';
import type { Property } from '../verification/property/property.js';
import { UsageError } from './errors.js';
import { runPaths } from './run/run-folder.js';
import type { NetworkReading } from './trained-network.js';

/** What is verified: a network, a property over its input and output, and the model that judges. */
export interface ModelTask {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  /** Parameters of the file that float32 does not hold. */
  readonly exact?: Readonly<Record<string, Float64Array>>;
  /** Whether the file computes in float64, so that proofs have to. */
  readonly double?: boolean;
  readonly property: Property;
  /** The ONNX file, of a query of several the first. */
  readonly file: string;
  /** The file itself, or the files, in ONNX Runtime; to be closed. */
  readonly model: Model;
  /** The query of VNN-LIB 2.0, where it is one, and what its inputs are. */
  readonly query?: VnnlibProperty;
  readonly links?: Links;
}

/** A model's path, and the network of the query that it is of, where somebody said so. */
export interface NamedModel {
  readonly name?: string;
  readonly path: string;
}

/** Whether a property is of one network with one input of free elements and one output, neither a scalar. */
export function isPlain(property: VnnlibProperty): boolean {
  const { networks, inputs } = property;
  if (networks === undefined) return true;
  const tensors = tensorsOf(networks);
  const isSingle = tensors.length === 2 && tensors.every(({ shape }) => shape.length > 0);
  return isSingle && linksOf(property).free.length === inputs;
}

/**
 * The path of each network's model. Networks that are equal to another have that of the other.
 * @throws UsageError for models that are missing, too many or of no network
 */
export function pathsOf(
  { source, networks = [] }: VnnlibProperty,
  models: readonly NamedModel[],
): ReadonlyMap<string, string> {
  const own = networks.filter(({ equivalence }) => equivalence?.kind !== 'equal-to');
  const paths = new Map<string, string>();
  for (const { name = own.length === 1 ? own[0]?.name : undefined, path } of models) {
    if (name === undefined) continue;
    const network = networks.find((one) => one.name === name);
    const equal = network !== undefined && !own.includes(network);
    if (network === undefined || equal)
      throw new UsageError(
        `--network: expected a model of ${own.map((one) => one.name).join(', ')}, ` +
          `${own.length === 1 ? 'the network' : 'the networks'} of ${source}, got one of ${name}` +
          (equal ? `, which equals ${network.equivalence?.network}; leave it out` : ''),
      );
    if (paths.has(name)) throw new UsageError(`--network: expected one model of ${name}, got ${path} too`);
    paths.set(name, path);
  }
  const missing = own.find(({ name }) => !paths.has(name));
  if (missing !== undefined)
    throw new UsageError(
      `--network: expected a model of ${missing.name}, a network of ${source}, got none; add --network ` +
        `${missing.name}=FILE`,
    );
  return new Map(
    networks.map(({ name, equivalence }) => [
      name,
      paths.get(equivalence?.kind === 'equal-to' ? equivalence.network : name) as string,
    ]),
  );
}

/** The ONNX file of a model, or of a finished run. */
async function modelFile(path: string): Promise<string> {
  const isRun = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  return isRun ? runPaths(path).network : path;
}

interface ModelFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly model: OnnxModel;
}

/** A network of the query with its file. */
interface Part {
  readonly declared: NetworkDeclaration;
  readonly file: ModelFile;
  readonly values: Interface;
  /** What each element of its inputs is. */
  readonly of: Int32Array;
}

/**
 * The verification of a query by the models of its networks.
 * @throws FormatError, FileError and UsageError, one line, for files that are not what they should be or do
 *  not fit the query; the reason of the limits' signal
 */
export async function readQueryTask(
  query: VnnlibProperty,
  models: readonly NamedModel[],
  { distinct, ...limits }: NetworkReading,
): Promise<ModelTask> {
  const { networks = [], source } = query;
  const paths = pathsOf(query, models);
  const links = linksOf(query);
  const property = linkedPropertyOf(query, links);
  const files = await readFiles(new Set(paths.values()), limits);
  let start = 0;
  const parts = networks.map((declared): Part => {
    const file = files.get(paths.get(declared.name) as string) as ModelFile;
    const values = interfaceOf(declared, file.model, file.path);
    const elements = values.inputs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    const of = links.of.slice(start, start + elements);
    start += elements;
    return { declared, file, values, of };
  });
  const types = new Set(parts.map(({ values }) => values.type));
  const [type = ''] = types;
  if (types.size > 1)
    throw new UsageError(`${source}: expected models of one element type, got ${[...types].join(' and ')}`);
  const ordered = links.order.map((n) => parts[n] as Part);
  const product = productModel(
    ordered.map(({ declared, file, values, of }) => ({
      ...values,
      of,
      name: declared.name,
      model: file.model,
    })),
    property.inputs,
    type,
  );
  const { network, parameters, exact, double } = importModel(product, source, { distinct });
  const model = await openParts(ordered, { inputs: featuresOf(network.input), outputs: query.outputs });
  return {
    ...{ network, parameters, exact, double, property, model, query, links },
    file: (parts[0] as Part).file.path,
  };
}

async function readFiles(paths: ReadonlySet<string>, limits: ReadLimits): Promise<Map<string, ModelFile>> {
  const files = new Map<string, ModelFile>();
  for (const given of paths) {
    const path = await modelFile(given);
    const bytes = await readUnpacked(path, limits);
    limits.signal?.throwIfAborted();
    const model = decodeOnnx(bytes, path);
    // The product has one version; operators are read alike in all that are read at all.
    checkOpset(model, path);
    files.set(given, { path, bytes, model });
  }
  return files;
}

/** The files, run one after another: from the free inputs to all results. */
async function openParts(
  parts: readonly Part[],
  { inputs, outputs }: { readonly inputs: number; readonly outputs: number },
): Promise<Model> {
  const opened: { part: Part; tensors: TensorModel }[] = [];
  const close = async (): Promise<void> => {
    for (const { tensors } of opened) await tensors.close();
  };
  try {
    for (const part of parts) {
      const { file, values } = part;
      opened.push({
        part,
        tensors: await openTensorModel(file.bytes, values.inputs, values.results, file.path),
      });
    }
  } catch (error) {
    await close();
    throw error;
  }
  const run: Model['run'] = async (z) => {
    if (z.length !== inputs) throw new RangeError(`expected an input of ${inputs} values, got ${z.length}`);
    const results = new Float64Array(outputs);
    for (const { part, tensors } of opened) {
      let start = 0;
      const given = part.values.inputs.map(({ shape }) => {
        const end = start + shape.reduce((a, b) => a * b, 1);
        const values = Float64Array.from(part.of.subarray(start, end), (variable) =>
          variable >= 0 ? (z[variable] as number) : (results[-1 - variable] as number),
        );
        start = end;
        return values;
      });
      for (const [k, values] of (await tensors.run(given)).entries())
        results.set(values, (part.values.results[k] as Interface['results'][number]).first);
    }
    return results;
  };
  return { inputs, outputs, run, close };
}
