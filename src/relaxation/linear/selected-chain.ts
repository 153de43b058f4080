/**
 * Chains that begin behind a selection of the input: a network of their own, over the selected box. Where no
 * feature is selected twice that box says all that the input's box says of the chain; where one is, it is a
 * larger set.
 */
import { INPUT, type Network, type NetworkNode, network, parameterName } from '../../network/network.js';
import type { BoundProblem } from '../relaxation.js';

export interface SelectedChain {
  /** From behind the selection to the target. */
  readonly network: Network;
  /** Numbers of its nodes in the whole network. */
  readonly path: readonly number[];
  /** The selection. */
  readonly from: number;
}

const known = new WeakMap<Network, Map<number, SelectedChain | undefined>>();

/** The chain from a selection of the input to a node; undefined where the node is none's end. */
export function selectedChain(net: Network, node: number): SelectedChain | undefined {
  const chains = known.get(net) ?? new Map<number, SelectedChain | undefined>();
  known.set(net, chains);
  if (!chains.has(node)) chains.set(node, findChain(net, node));
  return chains.get(node);
}

function findChain(net: Network, node: number): SelectedChain | undefined {
  const nodeAt = (k: number) => net.nodes[k] as NetworkNode;
  const path: number[] = [];
  for (let at = node; at !== INPUT; at = nodeAt(at).inputs[0] as number) {
    const { layer, inputs } = nodeAt(at);
    if (inputs.length !== 1) return undefined;
    if (layer.name === 'selection' && inputs[0] === INPUT && path.length > 0) {
      const nodes = path.map((k, i): NetworkNode => ({ layer: nodeAt(k).layer, inputs: [i - 1] }));
      const [first] = nodes as [NetworkNode];
      return { network: network(net.name, first.layer.input, nodes), path, from: at };
    }
    path.unshift(at);
  }
  return undefined;
}

/** The problem of the chain, whose box is that of the selection's output. */
export function chainProblem(
  problem: BoundProblem,
  { network: net, path }: SelectedChain,
  box: BoundProblem['box'],
): BoundProblem {
  const parameters = Object.fromEntries(
    net.nodes.flatMap(({ layer }, i) =>
      layer.parameters.map(({ name }) => [
        parameterName(i, name),
        problem.parameters[parameterName(path[i] as number, name)] as BoundProblem['parameters'][string],
      ]),
    ),
  );
  return { ...problem, network: net, parameters, box };
}
