/** From a finished draft to layers and parameters, in float32 and, where that rounds them, in float64. */
import { FormatError } from '../../formats/format-error.js';
import { sha1 } from '../../graph/sha1.js';
import { convolutionLayer } from '../layers/convolution.js';
import { type GroupedGeometry, groupedConvolutionLayer } from '../layers/grouped-convolution.js';
import {
  activationLayer,
  type Extents,
  featuresOf,
  joinLayer,
  type Layer,
  reluLayer,
} from '../layers/layer.js';
import { linearLayer } from '../layers/linear.js';
import { normalizeLayer } from '../layers/normalize.js';
import { poolingLayer } from '../layers/pooling.js';
import { scaleLayer } from '../layers/scale.js';
import { selectionLayer } from '../layers/selection.js';
import { transposedConvolutionLayer } from '../layers/transposed-convolution.js';
import { INPUT, type NetworkNode, parameterName } from '../network.js';
import { type Draft, type DraftNode, perStretch, type View } from './draft.js';
import { LARGEST_TABLE } from './spatial.js';

/** The draft's nodes up to `last` that it needs, renumbered: others were read for their shape alone. */
export function needed(draft: Draft, last: number): Draft {
  const keep = new Set([last]);
  for (let node = last; node >= 0; node--)
    if (keep.has(node)) for (const from of draft[node]?.inputs ?? []) keep.add(from);
  keep.delete(INPUT);
  const order = [...keep].sort((a, b) => a - b);
  const moved = new Map(order.map((node, i) => [node, i]));
  return order.map((node): DraftNode => {
    const old = draft[node] as DraftNode;
    return {
      ...old,
      inputs: old.inputs.map((from) => (from === INPUT ? INPUT : (moved.get(from) as number))),
    };
  });
}

/**
 * Nodes and parameters of a draft's network, on an input of these extents; all of its nodes are needed.
 * @throws FormatError for numbers that are not finite
 */
export function assemble(
  draft: Draft,
  input: Extents,
  source: string,
): {
  nodes: NetworkNode[];
  parameters: Record<string, Float32Array>;
  exact: Record<string, Float64Array>;
} {
  const parameters: Record<string, Float32Array> = {};
  const exact: Record<string, Float64Array> = {};
  const nodes = draft.map((node, index): NetworkNode => {
    checkTable(node, index, source);
    const layer = layerOf(node, input);
    if ('weight' in node && layer.parameters.length > 0)
      for (const name of ['weight', 'bias'] as const) {
        const array = Float32Array.from(node[name]);
        if (!array.every(Number.isFinite))
          throw new FormatError(
            `${source}: expected finite weights, got ${array.find((w) => !Number.isFinite(w))} in the ` +
              `${name} of layer ${index} (${layer.name})`,
          );
        parameters[parameterName(index, name)] = array;
        if (array.some((value, i) => value !== node[name][i])) exact[parameterName(index, name)] = node[name];
      }
    return { layer, inputs: node.inputs };
  });
  return { nodes, parameters, exact };
}

/** Refuses tables that cannot be turned round, and constants that are no numbers. */
function checkTable(node: DraftNode, index: number, source: string): void {
  if (node.kind !== 'selection' && node.kind !== 'pooling') return;
  const { table, constants }: Pick<View, 'table' | 'constants'> =
    node.kind === 'selection' ? node.view : { table: node.table };
  const reads = new Int32Array(featuresOf(node.input));
  for (const row of table) if (row >= 0) reads[row] = (reads[row] as number) + 1;
  const most = reads.reduce((a, b) => Math.max(a, b), 0);
  if (most * reads.length > LARGEST_TABLE)
    throw new FormatError(
      `${source}: expected features that are selected at most ` +
        `${Math.floor(LARGEST_TABLE / reads.length)} times of ${reads.length}, got one ${most} times in ` +
        `layer ${index} (${node.kind})`,
    );
  const wrong = constants?.find((value) => !Number.isFinite(value));
  if (wrong !== undefined)
    throw new FormatError(
      `${source}: expected finite constants, got ${wrong} in layer ${index} (${node.kind})`,
    );
}

/** Arrays of a draft that become parameters, and what only says how exact they are. */
const NUMBERS = new Set(['weight', 'weightLow', 'bias', 'biasLow', 'foldings', 'exactBias']);

/**
 * All of the network that ends in draft node `last` but its parameters: programs of one network compute the
 * other where two texts are equal.
 */
export function structureOf(draft: Draft, last: number): string {
  const nodes = needed(draft, last).map((node) => {
    const normalizes = node.kind === 'scale' && node.inputs[0] === INPUT;
    return JSON.stringify(node, (key, value: unknown) => {
      if (NUMBERS.has(key) && !normalizes) return undefined;
      if (ArrayBuffer.isView(value)) return sha1(value);
      return typeof value === 'object' && value !== null && 'shift' in value ? undefined : value;
    });
  });
  return nodes.join('\n');
}

const isPlain = ({ groups = 1, dilation = [1, 1] }: GroupedGeometry): boolean =>
  groups === 1 && dilation.every((d) => d === 1);

function layerOf(node: DraftNode, input: Extents): Layer {
  switch (node.kind) {
    case 'convolution':
      return isPlain(node.geometry)
        ? convolutionLayer(node.input, node.geometry)
        : groupedConvolutionLayer(node.input, node.geometry);
    case 'transposed':
      return transposedConvolutionLayer(node.input, node.geometry);
    case 'selection':
      return selectionLayer(node.input, node.output, node.view.table, node.view.constants);
    case 'pooling':
      return poolingLayer(node.input, node.output, node.table, node.factors);
    case 'linear':
      return linearLayer(node.input, node.output[0]);
    case 'relu':
      return reluLayer(node.output);
    case 'smooth':
      return activationLayer(node.output, node.function);
    case 'join':
      return joinLayer(node.output);
    case 'product':
    case 'quotient':
      throw new RangeError(`assemble: expected a ${node.kind} to be an input by now, got a node`);
    case 'scale': {
      // (x − mean)/std with std > 0 at the input is the normalisation that relaxations know to begin behind.
      const { weight, bias } = node;
      const positive = weight.every((w, i) => w > 0 && Number.isFinite(1 / w) && Number.isFinite(bias[i]));
      if (node.inputs[0] !== INPUT || !positive) return scaleLayer(node.output);
      const perChannel = [perStretch(weight, input[0]), perStretch(bias, input[0])];
      const [w, b] = perChannel[0] && perChannel[1] ? [perChannel[0], perChannel[1]] : [weight, bias];
      const extents: Extents = w === weight ? [featuresOf(input), 1, 1] : input;
      return normalizeLayer(extents, {
        mean: Array.from(w, (s, i) => -(b[i] as number) / s),
        std: Array.from(w, (s) => 1 / s),
      });
    }
  }
}
