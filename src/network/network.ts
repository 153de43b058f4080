/**
 * A network: a directed acyclic graph of layers, from pixels to logits. Plain data and the rules of its
 * layers; it holds no weights.
 */
import { addAll, type FloatType, input as graphInput, relu, type Tensor } from '../graph/index.js';
import { activationFunctions } from './activations/index.js';
import { type Extents, featuresOf, type Layer, type Weights } from './layers/layer.js';

/** Node number of the network's input. */
export const INPUT = -1;

/** A layer and where its inputs come from. */
export interface NetworkNode {
  readonly layer: Layer;
  /** Nodes it reads: numbers of earlier nodes, or INPUT. */
  readonly inputs: readonly number[];
}

/**
 * A network as a DAG of layers, from extents such as [channels, height, width] to `classes` logits;
 * parameters are apart.
 */
export interface Network {
  readonly name: string;
  readonly input: Extents;
  readonly classes: number;
  /** In an order where each node comes after its inputs; the last one gives the logits. */
  readonly nodes: readonly NetworkNode[];
}

/**
 * A network from nodes, checked: every input exists, comes earlier and has the extents that its reader
 * expects.
 */
export function network(name: string, input: Extents, nodes: readonly NetworkNode[]): Network {
  nodes.forEach(({ layer, inputs }, index) => {
    for (const from of inputs) {
      if (from < INPUT || from >= index)
        throw new RangeError(
          `network ${name}: node ${index} (${layer.name}) reads node ${from}, which does not come before it`,
        );
      const extents = from === INPUT ? input : (nodes[from] as NetworkNode).layer.output;
      if (featuresOf(extents) !== featuresOf(layer.input))
        throw new RangeError(
          `network ${name}: node ${index} (${layer.name}) expects ${layer.input.join('×')}, node ${from} ` +
            `gives ${extents.join('×')}`,
        );
    }
  });
  const last = nodes.at(-1);
  if (last === undefined) throw new RangeError(`network ${name}: expected at least one layer`);
  return { name, input, classes: featuresOf(last.layer.output), nodes };
}

/** A network whose layers follow one another. */
export const chain = (name: string, input: Extents, layers: readonly Layer[]): Network =>
  network(
    name,
    input,
    layers.map((layer, i) => ({ layer, inputs: [i - 1] })),
  );

/** Whether layers simply follow one another: the condition for receptive-field back-substitution. */
export const isChain = ({ nodes }: Network): boolean =>
  nodes.every(({ inputs }, i) => inputs.length === 1 && inputs[0] === i - 1);

/** Name of a trained array, as in a PyTorch Sequential of the same layers: "<node>.weight". */
export const parameterName = (node: number, name: string): string => `${node}.${name}`;

/** Graph tensors of all trained arrays, by name. */
export type Parameters = Readonly<Record<string, Tensor>>;

/** Inputs of a program for all trained arrays of a network. */
export function parameterInputs({ nodes }: Network, dtype: FloatType = 'float32'): Parameters {
  const entries = nodes.flatMap(({ layer }, i) =>
    layer.parameters.map(
      ({ name, shape }) =>
        [parameterName(i, name), graphInput(parameterName(i, name), shape, dtype)] as const,
    ),
  );
  return Object.fromEntries(entries);
}

/** The arrays of one node. */
export function weightsOf({ nodes }: Network, node: number, parameters: Parameters): Weights {
  const specs = (nodes[node] as NetworkNode).layer.parameters;
  return Object.fromEntries(specs.map(({ name }) => [name, parameters[parameterName(node, name)] as Tensor]));
}

/** Activations of every node for x [features, batch]; the last one is the logits [classes, batch]. */
export function forward(net: Network, parameters: Parameters, x: Tensor): Tensor[] {
  const values: Tensor[] = [];
  net.nodes.forEach(({ layer, inputs }, i) => {
    const from = inputs.map((k) => (k === INPUT ? x : (values[k] as Tensor)));
    const first = from[0] as Tensor;
    if (layer.kind === 'relu') values.push(relu(first));
    else if (layer.kind === 'join') values.push(addAll(from));
    else if (layer.kind === 'activation') values.push(activationFunctions[layer.function].value(first));
    else values.push(layer.apply(weightsOf(net, i, parameters), first));
  });
  return values;
}

export const logits = (net: Network, parameters: Parameters, x: Tensor): Tensor =>
  forward(net, parameters, x).at(-1) as Tensor;
