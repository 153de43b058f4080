/** Leading normalisation maps a box to a box exactly: relaxations begin behind it. */
import { INPUT, type Network, type NetworkNode, network, type Parameters, parameterName } from '../network/network.js';
import { intervalAffine } from './interval.js';
import type { BoundProblem } from './relaxation.js';

/** The same problem without the network's leading normalisation, which the box has passed. */
export function withoutNormalization(problem: BoundProblem): BoundProblem {
  const [first, ...rest] = problem.network.nodes as [NetworkNode, ...NetworkNode[]];
  if (first.layer.kind !== 'affine' || first.layer.name !== 'normalize' || rest.some(({ inputs }) => inputs.includes(INPUT))) return problem;
  const { name, input } = problem.network;
  const shifted: Network = network(
    name,
    input,
    rest.map(({ layer, inputs }) => ({ layer, inputs: inputs.map((k) => k - 1) })),
  );
  const parameters: Parameters = Object.fromEntries(
    rest.flatMap(({ layer }, i) => layer.parameters.map((p) => [parameterName(i, p.name), problem.parameters[parameterName(i + 1, p.name)]])),
  ) as Parameters;
  return { ...problem, network: shifted, parameters, box: intervalAffine(first.layer, {}, problem.box) };
}
