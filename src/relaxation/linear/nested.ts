/**
 * Nested relaxations: never looser than cheaper ones, for any network (Mueller et al., AIDomains; DeepPoly of
 * Singh et al. 2019 as its authors' software computes it).
 *
 * Pure back-substitution may be looser than intervals: the lines of a ReLU are not exact at both ends. So the
 * bounds of each layer are intersected with intervals from the layers before, a row is bounded at the output
 * of every activation on its way to the input, and what is best counts. Then
 *
 *   IBP ≤ nested CROWN-IBP ≤ DeepPoly
 *
 * margin by margin: the first bound on the way is that of intervals, and DeepPoly takes the better of its own
 * and of CROWN-IBP's margins, as lines of tighter bounds need not be tighter lines.
 */
import { type FloatType, maximum, type Tensor } from '../../graph/index.js';
import { INPUT, type NetworkNode } from '../../network/network.js';
import { withoutNormalization } from '../front.js';
import { interval, intervalBounds } from '../interval.js';
import { type BoundProblem, type Bounds, type Relaxation, specificationMargins } from '../relaxation.js';
import { boundBelow } from './back-substitution.js';
import { type LayerBounds, layerBounds } from './layer-bounds.js';
import { inMarginKernel } from './margin-run.js';
import { slopesOf } from './nonlinear.js';
import { deepPolyRule } from './row-rule.js';

/** Margins by back-substitution through bounds of every node, bounded on the way. */
function margins(problem: BoundProblem, at: (node: number) => Bounds): Tensor {
  const { network: net, box, specification } = problem;
  const rows = specificationMargins(specification, net.classes, box.lower.dtype as FloatType);
  const before = (node: number) => at((net.nodes[node] as NetworkNode).inputs[0] as number);
  const lines = (node: number) => slopesOf(net, node, before(node));
  const margins = boundBelow(problem, net.nodes.length - 1, rows, lines, at);
  return inMarginKernel(margins, problem, rows, before, { nested: true });
}

/** CROWN-IBP's margins, bounded on the way, and intervals' own. */
function marginsFromIntervals(problem: BoundProblem): Tensor {
  const values = intervalBounds(problem.network, problem.parameters, problem.box);
  const at = (node: number) => (node === INPUT ? problem.box : (values[node] as Bounds));
  return maximum(margins(problem, at), interval.bound(problem).margins);
}

export const nestedCrownIbp: Relaxation = {
  name: 'nested-crown-ibp',
  differentiable: true,
  bound(original) {
    return { stages: [], margins: marginsFromIntervals(withoutNormalization(original)) };
  },
};

export const deepPoly: Relaxation = {
  name: 'deeppoly',
  differentiable: true,
  bound(original) {
    const problem = withoutNormalization(original);
    const { stages, at } = deepPolyBounds(problem);
    return { stages, margins: maximum(margins(problem, at), marginsFromIntervals(problem)) };
  },
};

/** DeepPoly's bounds of what every activation reads. */
export const deepPolyBounds = (problem: BoundProblem): LayerBounds => layerBounds(problem, deepPolyRule);
