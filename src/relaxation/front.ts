/**
 * What a network begins with may map a box to a box exactly, as normalisation does: relaxations begin behind
 * it.
 */
import type { Tensor } from '../graph/index.js';
import {
  INPUT,
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

/** Behind a network's first layer, if it is separable and the rest reads nothing else. */
export function separableFront({ network: net, parameters, box }: Front): Front | undefined {
  const [first, ...rest] = net.nodes as [NetworkNode, ...NetworkNode[]];
  if (
    rest.length === 0 ||
    first.layer.kind !== 'affine' ||
    !first.layer.separable ||
    rest.some(({ inputs }) => inputs.includes(INPUT))
  )
    return undefined;
  const known = made.get(box.lower) ?? [];
  const found = known.find(
    ({ of }) => of.network === net && of.parameters === parameters && of.box.upper === box.upper,
  );
  if (found) return found.behind;
  const behind: Front = {
    network: network(
      net.name,
      first.layer.output,
      rest.map(({ layer, inputs }) => ({ layer, inputs: inputs.map((k) => k - 1) })),
    ),
    parameters: Object.fromEntries(
      rest.flatMap(({ layer }, i) =>
        layer.parameters.map((p) => [parameterName(i, p.name), parameters[parameterName(i + 1, p.name)]]),
      ),
    ) as Parameters,
    box: intervalAffine(first.layer, weightsOf(net, 0, parameters), box),
  };
  made.set(box.lower, [...known, { of: { network: net, parameters, box }, behind }]);
  return behind;
}

/** The same problem without the network's leading separable layers, which the box has passed. */
export function withoutNormalization(problem: BoundProblem): BoundProblem {
  const front = separableFront(problem);
  return front ? withoutNormalization({ ...problem, ...front }) : problem;
}
