/**
 * ONNX files as networks: graphs of convolutions, linear layers, pools, ReLUs, sums, concatenations and
 * element-wise affine arithmetic.
 *
 * The file is read operator by operator (`onnx/*`, one table entry each) into a draft that absorbs biases,
 * batch normalisation and rearrangements of features, then into layers. An operator that is not in the table
 * is refused by name: a network that is only almost understood must not be certified.
 */
import { FormatError } from '../../formats/format-error.js';
import { decodeOnnx, type OnnxModel } from '../../formats/onnx.js';
import { INPUT, type Network, network } from '../network.js';
import { assemble, needed } from './assembly.js';
import { type BoxReading, boxReading } from './box-reading.js';
import { castingOperators } from './casting.js';
import { concatenationOperators } from './concatenation.js';
import { constantOperators } from './constants.js';
import { convolutionOperators } from './convolution.js';
import { withoutDecided } from './decided.js';
import { withDistinctNeurons } from './distinct.js';
import { type Activation, type Draft, extentsOf, sizeOf, type Value } from './draft.js';
import { elementwiseOperators } from './elementwise.js';
import type { FixedInputs } from './fixed.js';
import { roomFor } from './limits.js';
import { matrixOperators } from './matrix.js';
import { maxPoolingOperators } from './max-pooling.js';
import { LARGEST_ACTIVATION, nodeTitle, type OperatorReader, shapeText } from './operator.js';
import { neededNodes } from './order.js';
import { passingOperators } from './passing.js';
import { piecewiseLinearOperators } from './piecewise-linear.js';
import { poolingOperators } from './pooling.js';
import { rearrangingOperators } from './rearranging.js';
import { reshapingOperators } from './reshaping.js';
import { resizingOperators } from './resizing.js';
import { scalingOperators } from './scaling.js';
import { smoothOperators } from './smooth.js';
import { materialized } from './view.js';

/** Versions of the standard operators that are read. */
export const OPSETS = [7, 22] as const;
const operators: ReadonlyMap<string, OperatorReader> = new Map(
  Object.entries({
    ...castingOperators,
    ...concatenationOperators,
    ...constantOperators,
    ...convolutionOperators,
    ...elementwiseOperators,
    ...matrixOperators,
    ...maxPoolingOperators,
    ...passingOperators,
    ...piecewiseLinearOperators,
    ...poolingOperators,
    ...rearrangingOperators,
    ...reshapingOperators,
    ...resizingOperators,
    ...scalingOperators,
    ...smoothOperators,
  }),
);

/** Standard operators that can be read. */
export const importedOperators: readonly string[] = [...operators.keys()].sort();

/** The network of an ONNX file, its parameters, and what the file says. */
export interface ImportedNetwork {
  readonly network: Network;
  /** Its trained arrays, by name. */
  readonly parameters: Record<string, Float32Array>;
  /**
   * Those that float32 does not hold, in float64: within 2⁻⁵² of the file's constants, folded, and of the
   * products that stand in one weight 2⁻⁵⁰. What is proved of the file is computed with these.
   */
  readonly exact: Readonly<Record<string, Float64Array>>;
  /** Whether the file computes in float64. */
  readonly double: boolean;
  /** Of a network that was read for fixed inputs. */
  readonly ofBoxes?: BoxReading;
  /** What the file says about itself: architecture, epsilon, dataset, … */
  readonly metadata: Readonly<Record<string, string>>;
}

/** How a file is read. */
export interface OnnxImportOptions {
  /**
   * Whether one of several neurons that are equal or opposite is left (default false): the function is the
   * same, its bounds are tighter, but its neurons are no longer the file's.
   */
  readonly distinct?: boolean;
}

/**
 * Reads an ONNX model (or a gzip-compressed one, `.onnx.gz`) as a network on one image's values in the file's
 * row-major order, with float32 parameters. An output of several axes is flattened in that order too.
 *
 * One input [batch, …] or without a batch axis, and one output; opsets 7 to 22; the batch extent fixed or
 * symbolic. Biases and batch normalisation are folded into the layer before them in float64; arithmetic on
 * the input becomes the normalisation layer.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError, one line: not an ONNX model, cut off, cyclic, or with an operator or a use of one that
 *  is not supported
 */
export function importOnnx(
  bytes: Uint8Array,
  source = 'ONNX model',
  options: OnnxImportOptions = {},
): ImportedNetwork {
  return importModel(decodeOnnx(bytes, source), source, options);
}

/** @throws FormatError for a model of operators of another version than those that are read */
export function checkOpset({ opset }: OnnxModel, source: string): void {
  if (opset < OPSETS[0] || opset > OPSETS[1])
    throw new FormatError(`${source}: expected opset ${OPSETS.join(' to ')}, got ${opset}`);
}

export interface ModelOptions extends OnnxImportOptions {
  /**
   * Inputs that have one number each: the network is the file's function of the others, and reads products
   * with what they decide.
   */
  readonly fixed?: FixedInputs;
}

/** The same of a model that is read already. */
export function importModel(model: OnnxModel, source: string, options: ModelOptions = {}): ImportedNetwork {
  checkOpset(model, source);
  const input = inputOf(model, source);
  try {
    return networkOf(model, input, source, options);
  } catch (error) {
    // A first extent like 3 or 784 is a batch if the file treats it as one; otherwise it belongs to the only
    // image.
    if (!(error instanceof FormatError) || input.batch === undefined || input.batch === 1) throw error;
    try {
      return networkOf(
        model,
        { ...input, batch: 1, shape: [input.batch, ...input.shape], batchAxis: -1 },
        source,
        options,
      );
    } catch {
      throw error;
    }
  }
}

/** The network of a model whose input is understood so. */
function networkOf(
  model: OnnxModel,
  input: Input,
  source: string,
  { fixed, distinct = false }: ModelOptions,
): ImportedNetwork {
  const { shape } = input;
  if (sizeOf(shape) > LARGEST_ACTIVATION)
    throw new FormatError(
      `${source}: expected an input of at most ${LARGEST_ACTIVATION} values an image, got ` +
        `[${shape.join(',')}]`,
    );
  const output = onlyOne('output', model.outputs, source);
  const draft: Draft = [];
  const last = readGraph(model, { ...input, input: input.name, output: output.name, source, fixed }, draft);
  if (last.node === INPUT)
    throw new FormatError(
      `${source}: expected the output ${output.name} to be made by a layer, got the input itself`,
    );
  const whole = { draft, last: last.node, cuts: [], input: extentsOf(shape) };
  const read = fixed ? withoutDecided(draft, last.node, extentsOf(shape), fixed) : whole;
  const live = needed(read.draft, read.last);
  const { nodes, parameters, exact } = assemble(
    distinct ? withDistinctNeurons(live) : live,
    read.input,
    source,
  );
  const net = network(model.metadata.architecture || model.name || 'imported', read.input, nodes);
  return {
    ...{ network: net, parameters, exact, double: input.type === 'DOUBLE', metadata: model.metadata },
    ...(fixed && {
      ofBoxes: boxReading(draft, read, sizeOf(shape)),
    }),
  };
}

function onlyOne<T extends { name: string }>(what: string, values: readonly T[], source: string): T {
  const [first, ...others] = values;
  if (first === undefined || others.length > 0)
    throw new FormatError(
      `${source}: expected one ${what}, got ${values.length}${
        values.length
          ? `: ${values
              .slice(0, 5)
              .map(({ name }) => name)
              .join(', ')}`
          : ''
      }`,
    );
  return first;
}

/** The input of a model, and its extents: [batch, …shape], or `shape` alone with a batch of 1. */
interface Input {
  readonly name: string;
  readonly type: 'FLOAT' | 'DOUBLE';
  readonly batch: number | undefined;
  readonly shape: readonly number[];
  readonly batchAxis: 0 | -1;
}

/** The input that is not a constant. One of a single axis has no batch. */
function inputOf(model: OnnxModel, source: string): Input {
  // Files of IR version 3 list them as inputs too.
  const constants = new Set(model.initializers.map(({ name }) => name));
  const { name, type, shape } = onlyOne(
    'input',
    model.inputs.filter((value) => !constants.has(value.name)),
    source,
  );
  const show = shape === undefined ? 'no shape' : `[${shape.map((extent) => extent || '?').join(',')}]`;
  if (type !== 'FLOAT' && type !== 'DOUBLE')
    throw new FormatError(`${source}: expected the input ${name} to be float32 or float64, got ${type}`);
  const [first, ...rest] = shape ?? [];
  const extents = rest.length === 0 && typeof first === 'number' ? [first] : rest;
  if (
    extents.length === 0 ||
    !extents.every((extent): extent is number => Number.isSafeInteger(extent) && (extent as number) >= 1)
  )
    throw new FormatError(
      `${source}: expected the input ${name} to be [batch, …] with fixed extents of one image, got ${show}`,
    );
  const batch = rest.length === 0 ? 1 : typeof first === 'number' ? first : undefined;
  return { name, type, batch, shape: extents, batchAxis: rest.length === 0 ? -1 : 0 };
}

interface Ends {
  readonly input: string;
  readonly output: string;
  readonly batch: number | undefined;
  readonly shape: readonly number[];
  readonly batchAxis: 0 | -1;
  readonly source: string;
  readonly fixed?: FixedInputs;
}

/** Reads every needed node into the draft; the activation of the output. */
function readGraph(
  model: OnnxModel,
  { input, output, batch, shape, batchAxis, source, fixed }: Ends,
  draft: Draft,
): Activation {
  const order = neededNodes(model, output, source);
  const readers = new Map<string, number>([[output, 1]]);
  // Who reads only extents does not mind what becomes of the values.
  for (const name of order.flatMap(({ opType, inputs }) => (opType === 'Shape' ? [] : inputs)))
    readers.set(name, (readers.get(name) ?? 0) + 1);
  const alone = (name: string) => readers.get(name) === 1;
  const room = roomFor(model, draft);
  const values = new Map<string, Value>(
    model.initializers.map((tensor) => [tensor.name, { kind: 'constant', tensor }]),
  );
  values.set(input, { kind: 'activation', node: INPUT, shape, batchAxis, exclusive: alone(input) });
  for (const node of order) {
    const reader = node.domain && node.domain !== 'ai.onnx' ? undefined : operators.get(node.opType);
    if (reader === undefined)
      throw new FormatError(
        `${source}: ${nodeTitle(node)}: this operator is not supported; expected one of ` +
          `${importedOperators.join(', ')}`,
      );
    const unknown = Object.keys(node.attributes).find((name) => !reader.attributes.includes(name));
    if (unknown !== undefined)
      throw new FormatError(
        `${source}: ${nodeTitle(node)}: expected attributes ${reader.attributes.join(', ') || 'none'}, ` +
          `got ${unknown}`,
      );
    const inputs = node.inputs.map((name) => {
      const value = values.get(name);
      if (value === undefined && name !== '')
        throw new FormatError(`${source}: ${nodeTitle(node)} reads ${name}, an output that is not supported`);
      return value;
    });
    const call = { source, node, inputs, draft, input: extentsOf(shape), batch, fixed };
    const made = reader.read(call);
    const all: readonly Value[] = 'kind' in made ? [made] : made;
    room.take(call, all);
    all.forEach((value, i) => {
      const name = node.outputs[i] ?? '';
      values.set(
        name,
        value.kind === 'activation' ? { ...value, exclusive: value.exclusive && alone(name) } : value,
      );
    });
  }
  const last = values.get(output);
  if (last?.kind !== 'activation')
    throw new FormatError(`${source}: expected the output ${output} to depend on the input, got a constant`);
  if (batch !== 1 && (last.batchAxis ?? 0) !== 0)
    throw new FormatError(
      `${source}: expected the output ${output} to have the batch as its first axis, got ${shapeText(last)}`,
    );
  return materialized(draft, last);
}
