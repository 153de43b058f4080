/**
 * ReLU shrinking of SABR (Müller et al. 2023, arXiv 2210.04871): intervals whose unstable ReLUs keep only a
 * part of their upper end, so that a small box regularises still less.
 *
 *   l < 0 < u: [0, λ_r·u];  else [relu(l), relu(u)],  λ_r ∈ (0, 1]
 *
 * For training only: what results is no bound of the network, unless λ_r = 1, which is IBP.
 */
import { greater, mul, neg, relu, type Tensor, where } from '../graph/index.js';
import { INPUT, type Network, type Parameters } from '../network/network.js';
import { interval, intervalBounds, intervalMargins, intervalNode } from '../relaxation/interval.js';
import type { BoundProblem, Bounds } from '../relaxation/relaxation.js';

/** What propagates a box through a network and bounds margins, as IBP does. */
export interface BoxPropagation {
  values(network: Network, parameters: Parameters, box: Bounds): readonly Bounds[];
  margins(problem: BoundProblem): Tensor;
}

const plain: BoxPropagation = {
  values: intervalBounds,
  margins: (problem) => interval.bound(problem).margins,
};

function shrunkRelu({ lower, upper }: Bounds, factor: number): Bounds {
  const end = relu(upper);
  const unstable = where(greater(neg(lower), 0), mul(end, factor), end);
  return { lower: relu(lower), upper: unstable };
}

/** IBP with ReLUs shrunk by λ_r. @throws RangeError for λ_r outside (0, 1] */
export function boxPropagation(factor = 1): BoxPropagation {
  if (!(factor > 0 && factor <= 1))
    throw new RangeError(`relu shrinking: expected a factor in (0, 1], got ${factor}`);
  if (factor === 1) return plain;
  const values = (net: Network, parameters: Parameters, box: Bounds): readonly Bounds[] => {
    const made: Bounds[] = [];
    net.nodes.forEach(({ layer, inputs }, node) => {
      const from = inputs.map((k) => (k === INPUT ? box : (made[k] as Bounds)));
      made.push(
        layer.kind === 'relu'
          ? shrunkRelu(from[0] as Bounds, factor)
          : intervalNode(net, parameters, node, from),
      );
    });
    return made;
  };
  return {
    values,
    margins: (problem) => intervalMargins(problem, values(problem.network, problem.parameters, problem.box)),
  };
}
