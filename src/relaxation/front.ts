/**
 * What a network begins with may map a box to a box exactly, as normalisation does: relaxations begin behind
 * it.
 */
import {
  INPUT,
  type Network,
  type NetworkNode,
  network,
  type Parameters,
  parameterName,
  weightsOf,
} from '../network/network.js';
import { intervalAffine } from './interval.js';
import type { BoundProblem } from './relaxation.js';

/** The same problem without the network's leading separable layers, which the box has passed. */
export function withoutNormalization(problem: BoundProblem): BoundProblem {
  const [first, ...rest] = problem.network.nodes as [NetworkNode, ...NetworkNode[]];
  if (
    rest.length === 0 ||
    first.layer.kind !== 'affine' ||
    !first.layer.separable ||
    rest.some(({ inputs }) => inputs.includes(INPUT))
  )
    return problem;
  const shifted: Network = network(
    problem.network.name,
    first.layer.output,
    rest.map(({ layer, inputs }) => ({ layer, inputs: inputs.map((k) => k - 1) })),
  );
  const parameters: Parameters = Object.fromEntries(
    rest.flatMap(({ layer }, i) =>
      layer.parameters.map((p) => [
        parameterName(i, p.name),
        problem.parameters[parameterName(i + 1, p.name)],
      ]),
    ),
  ) as Parameters;
  const box = intervalAffine(first.layer, weightsOf(problem.network, 0, problem.parameters), problem.box);
  return withoutNormalization({ ...problem, network: shifted, parameters, box });
}
