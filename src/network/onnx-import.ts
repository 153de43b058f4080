/**
 * ONNX files as networks: chains and residual graphs of convolutions, linear layers, ReLUs, sums and element-wise affine arithmetic.
 *
 * The file is read operator by operator (`onnx/*`, one table entry each) into a draft that absorbs biases and batch normalisation,
 * then into layers. An operator that is not in the table is refused by name: a network that is only almost understood must not be certified.
 */
import { FormatError } from '../formats/format-error.js';
import { decodeOnnx, type OnnxModel } from '../formats/onnx.js';
import { convolutionLayer } from './layers/convolution.js';
import { type Extents, featuresOf, joinLayer, type Layer, reluLayer } from './layers/layer.js';
import { linearLayer } from './layers/linear.js';
import { normalizeLayer } from './layers/normalize.js';
import { scaleLayer } from './layers/scale.js';
import { INPUT, type Network, type NetworkNode, network, parameterName } from './network.js';
import { affineOperators } from './onnx/affine.js';
import { type Activation, type Draft, type DraftNode, extentsOf, perStretch, sizeOf, type Value } from './onnx/draft.js';
import { elementwiseOperators } from './onnx/elementwise.js';
import { LARGEST_ACTIVATION, nodeTitle, type OperatorReader } from './onnx/operator.js';
import { neededNodes } from './onnx/order.js';
import { passingOperators } from './onnx/passing.js';

const OPSETS = [7, 22] as const;
const operators: ReadonlyMap<string, OperatorReader> = new Map(Object.entries({ ...affineOperators, ...elementwiseOperators, ...passingOperators }));

/** Standard operators that can be read. */
export const importedOperators: readonly string[] = [...operators.keys()].sort();

export interface ImportedNetwork {
  readonly network: Network;
  /** Its trained arrays, by name. */
  readonly parameters: Record<string, Float32Array>;
  /** What the file says about itself: architecture, epsilon, dataset, … */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads an ONNX model (or a gzip-compressed one, `.onnx.gz`) as a network on [C, H, W] pixels with float32 parameters.
 *
 * One input [batch, …] and one output [batch, classes]; opsets 7 to 22; the batch extent fixed or symbolic. Biases and batch
 * normalisation are folded into the layer before them in float64; arithmetic on the input becomes the normalisation layer.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError, one line: not an ONNX model, cut off, cyclic, or with an operator or a use of one that is not supported
 */
export function importOnnx(bytes: Uint8Array, source = 'ONNX model'): ImportedNetwork {
  const model = decodeOnnx(bytes, source);
  if (model.opset < OPSETS[0] || model.opset > OPSETS[1]) throw new FormatError(`${source}: expected opset ${OPSETS.join(' to ')}, got ${model.opset}`);
  const { input, batch, shape } = inputOf(model, source);
  const output = onlyOne('output', model.outputs, source);
  const draft: Draft = [];
  const last = readGraph(model, { input, batch, shape, output: output.name, source }, draft);
  if (last.node !== draft.length - 1 || draft.length === 0)
    throw new FormatError(`${source}: expected the output ${output.name} to be made by a layer, got the input itself`);
  const { nodes, parameters } = assemble(draft, extentsOf(shape), source);
  const net = network(model.metadata.architecture || model.name || 'imported', extentsOf(shape), nodes);
  return { network: net, parameters, metadata: model.metadata };
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

/** The input that is not a constant, and its extents. */
function inputOf(model: OnnxModel, source: string): { input: string; batch: number | undefined; shape: readonly number[] } {
  const constants = new Set(model.initializers.map(({ name }) => name)); // files of IR version 3 list them as inputs too
  const { name, type, shape } = onlyOne(
    'input',
    model.inputs.filter((value) => !constants.has(value.name)),
    source,
  );
  const show = shape === undefined ? 'no shape' : `[${shape.map((extent) => extent || '?').join(',')}]`;
  if (type !== 'FLOAT' && type !== 'DOUBLE') throw new FormatError(`${source}: expected the input ${name} to be float32 or float64, got ${type}`);
  const [batch, ...extents] = shape ?? [];
  if (extents.length === 0 || !extents.every((extent): extent is number => Number.isSafeInteger(extent) && (extent as number) >= 1))
    throw new FormatError(`${source}: expected the input ${name} to be [batch, …] with fixed extents of one image, got ${show}`);
  if (sizeOf(extents) > LARGEST_ACTIVATION) throw new FormatError(`${source}: expected an input of at most ${LARGEST_ACTIVATION} values an image, got ${show}`);
  return { input: name, batch: typeof batch === 'number' ? batch : undefined, shape: extents };
}

interface Ends {
  readonly input: string;
  readonly output: string;
  readonly batch: number | undefined;
  readonly shape: readonly number[];
  readonly source: string;
}

/** Reads every needed node into the draft; the activation of the output. */
function readGraph(model: OnnxModel, { input, output, batch, shape, source }: Ends, draft: Draft): Activation {
  const order = neededNodes(model, output, source);
  const readers = new Map<string, number>([[output, 1]]);
  for (const name of order.flatMap(({ inputs }) => inputs)) readers.set(name, (readers.get(name) ?? 0) + 1);
  const alone = (name: string) => readers.get(name) === 1;
  const values = new Map<string, Value>(model.initializers.map((tensor) => [tensor.name, { kind: 'constant', tensor }]));
  values.set(input, { kind: 'activation', node: INPUT, shape, exclusive: alone(input) });
  for (const node of order) {
    const reader = node.domain && node.domain !== 'ai.onnx' ? undefined : operators.get(node.opType);
    if (reader === undefined)
      throw new FormatError(`${source}: ${nodeTitle(node)}: this operator is not supported; expected one of ${importedOperators.join(', ')}`);
    const unknown = Object.keys(node.attributes).find((name) => !reader.attributes.includes(name));
    if (unknown !== undefined)
      throw new FormatError(`${source}: ${nodeTitle(node)}: expected attributes ${reader.attributes.join(', ') || 'none'}, got ${unknown}`);
    const inputs = node.inputs.map((name) => {
      const value = values.get(name);
      if (value === undefined && name !== '') throw new FormatError(`${source}: ${nodeTitle(node)} reads ${name}, an output that is not supported`);
      return value;
    });
    const value = reader.read({ source, node, inputs, draft, input: extentsOf(shape), batch });
    const name = node.outputs[0] ?? '';
    values.set(name, value.kind === 'activation' ? { ...value, exclusive: value.exclusive && alone(name) } : value);
  }
  const last = values.get(output);
  if (last?.kind !== 'activation') throw new FormatError(`${source}: expected the output ${output} to depend on the input, got a constant`);
  return last;
}

/** Layers and float32 parameters of a finished draft. */
function assemble(draft: Draft, input: Extents, source: string): { nodes: NetworkNode[]; parameters: Record<string, Float32Array> } {
  const parameters: Record<string, Float32Array> = {};
  const nodes = draft.map((node, index): NetworkNode => {
    const layer = layerOf(node, input);
    if ('weight' in node && layer.parameters.length > 0)
      for (const name of ['weight', 'bias'] as const) {
        const array = Float32Array.from(node[name]);
        if (!array.every(Number.isFinite))
          throw new FormatError(
            `${source}: expected finite weights, got ${array.find((w) => !Number.isFinite(w))} in the ${name} of layer ${index} (${layer.name})`,
          );
        parameters[parameterName(index, name)] = array;
      }
    return { layer, inputs: node.inputs };
  });
  return { nodes, parameters };
}

function layerOf(node: DraftNode, input: Extents): Layer {
  switch (node.kind) {
    case 'convolution':
      return convolutionLayer(node.input, node.geometry);
    case 'linear':
      return linearLayer(node.input, node.output[0]);
    case 'relu':
      return reluLayer(node.output);
    case 'join':
      return joinLayer(node.output);
    case 'scale': {
      // (x − mean)/std with std > 0 at the input is the normalisation that relaxations know to begin behind.
      const { weight, bias } = node;
      const positive = weight.every((w, i) => w > 0 && Number.isFinite(1 / w) && Number.isFinite(bias[i]));
      if (node.inputs[0] !== INPUT || !positive) return scaleLayer(node.output);
      const perChannel = [perStretch(weight, input[0]), perStretch(bias, input[0])];
      const [w, b] = perChannel[0] && perChannel[1] ? [perChannel[0], perChannel[1]] : [weight, bias];
      const extents: Extents = w === weight ? [featuresOf(input), 1, 1] : input;
      return normalizeLayer(extents, { mean: Array.from(w, (s, i) => -(b[i] as number) / s), std: Array.from(w, (s) => 1 / s) });
    }
  }
}
