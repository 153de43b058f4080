/**
 * What a network begins with may map a box to a box exactly, as normalisation does: relaxations begin behind
 * it.
 */
import type { Tensor } from '../graph/index.js';
import type { AffineLayer } from '../network/layers/layer.js';
import {
  INPUT,
  type Network,
  type NetworkNode,
  network,
  type Parameters,
  parameterName,
  weightsOf,
} from '../network/network.js';
import { intervalAffine } from './interval-affine.js';
import type { BoundProblem } from './relaxation.js';

type Front = Pick<BoundProblem, 'network' | 'parameters' | 'box'>;
/** By the box's lower end: what is bounded over one box several times is then differentiated once. */
const made = new WeakMap<Tensor, { readonly of: Front; readonly behind: Front }[]>();

/** The network behind its first layer, if that is separable and the rest reads nothing else. */
export function networkBehind(net: Network): Network | undefined {
  const [first, ...rest] = net.nodes as [NetworkNode, ...NetworkNode[]];
  const { layer } = first;
  if (rest.length === 0 || layer.kind !== 'affine' || !layer.separable) return undefined;
  if (rest.some(({ inputs }) => inputs.includes(INPUT))) return undefined;
  const behind = rest.map(({ layer, inputs }) => ({ layer, inputs: inputs.map((k) => k - 1) }));
  return network(net.name, layer.output, behind);
}

/** The same with parameters and the box that the layer makes of the box. */
export function separableFront({ network: net, parameters, box }: Front): Front | undefined {
  const known = made.get(box.lower) ?? [];
  const found = known.find(
    ({ of }) => of.network === net && of.parameters === parameters && of.box.upper === box.upper,
  );
  if (found) return found.behind;
  const after = networkBehind(net);
  if (after === undefined) return undefined;
  const layer = (net.nodes[0] as NetworkNode).layer as AffineLayer;
  const behind: Front = {
    network: after,
    parameters: Object.fromEntries(
      after.nodes.flatMap(({ layer }, i) =>
        layer.parameters.map((p) => [parameterName(i, p.name), parameters[parameterName(i + 1, p.name)]]),
      ),
    ) as Parameters,
    box: intervalAffine(layer, weightsOf(net, 0, parameters), box),
  };
  made.set(box.lower, [...known, { of: { network: net, parameters, box }, behind }]);
  return behind;
}

/** The same problem without the network's leading separable layers, which the box has passed. */
export function withoutNormalization(problem: BoundProblem): BoundProblem {
  const front = separableFront(problem);
  return front ? withoutNormalization({ ...problem, ...front }) : problem;
}
