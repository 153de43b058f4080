/**
 * CROWN-IBP (Zhang et al. 2020, arXiv 1906.06316): intervals bound every layer, one back-substitution bounds
 * the margins.
 */
import type { FloatType } from '../../graph/index.js';
import { INPUT, type NetworkNode } from '../../network/network.js';
import { withoutNormalization } from '../front.js';
import { intervalBounds } from '../interval.js';
import { type Bounds, type Relaxation, specificationMargins } from '../relaxation.js';
import { backSubstitute, concretize } from './back-substitution.js';
import { fusedCrownIbp } from './loss-fusion.js';
import { inMarginKernel } from './margin-run.js';
import { slopesOf } from './nonlinear.js';

export const crownIbp: Relaxation = {
  name: 'crown-ibp',
  differentiable: true,
  bound(original) {
    const problem = withoutNormalization(original);
    const { network: net, parameters, box, specification } = problem;
    const values = intervalBounds(net, parameters, box);
    const before = (node: number) => {
      const from = (net.nodes[node] as NetworkNode).inputs[0] as number;
      return from === INPUT ? box : (values[from] as Bounds);
    };
    const rows = specificationMargins(specification, net.classes, box.lower.dtype as FloatType);
    const bound = backSubstitute(net, parameters, net.nodes.length - 1, rows, (node) =>
      slopesOf(net, node, before(node)),
    );
    return { stages: [], margins: inMarginKernel(concretize(bound, box), problem, rows, before) };
  },
  fused: fusedCrownIbp,
};
