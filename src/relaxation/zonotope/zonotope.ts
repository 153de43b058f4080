/**
 * DeepZ, zonotopes (Singh et al. 2018, "Fast and Effective Robustness Certification"; the same bounds as Wong
 * and Kolter 2018, arXiv 1711.00851).
 *
 * x = c + E ε. The ReLU on pre-activations [l, u] is λ x + μ ± μ with λ = u/(u − l), μ = −u l/(2 (u − l))
 * where l < 0 < u: E's rows are scaled by λ and each neuron appends a column of its own with μ; stable
 * neurons keep λ = 1 or 0 and μ = 0. That is the parallelogram of least area around the ReLU, but it reaches
 * below 0: neither zonotopes nor intervals are tighter on every neuron. Smooth activations become λ x + μ ± ν
 * with the least slope on [l, u] (`activation-lines.ts`).
 *
 * E itself is never made. A neuron's reach Σ|aᵀE| is what back-substitution of its row a with these parallel
 * lines gives: a passes a ReLU as λ a with the constants Σ aμ ∓ Σ|a|μ, and at the input its bounds are
 * a c ∓ Σ|a| r. Every neuron gets a row, as intervals may know it stable where the zonotope does not.
 */
import type { FloatType } from '../../graph/index.js';
import { withoutNormalization } from '../front.js';
import { marginsFromLogits } from '../interval.js';
import { boundBelow, boundNode } from '../linear/back-substitution.js';
import { type LayerBounds, layerBounds } from '../linear/layer-bounds.js';
import { inMarginKernel } from '../linear/margin-run.js';
import { deepZRule, linesOf } from '../linear/row-rule.js';
import { type BoundProblem, type Relaxation, specificationMargins } from '../relaxation.js';

/** The zonotope's bounds of what every activation reads. */
export const zonotopeBounds = (problem: BoundProblem): LayerBounds => layerBounds(problem, deepZRule, true);

export const zonotope: Relaxation = {
  name: 'deepz',
  differentiable: true,
  bound(original) {
    const problem = withoutNormalization(original);
    const { network: net, box, specification } = problem;
    const { stages, before } = zonotopeBounds(problem);
    const lines = (node: number) => linesOf(net, node, before(node), deepZRule);
    const last = net.nodes.length - 1;
    if (problem.elision === false)
      return { stages, margins: marginsFromLogits(problem, boundNode(problem, last, lines)) };
    const rows = specificationMargins(specification, net.classes, box.lower.dtype as FloatType);
    const margins = boundBelow(problem, last, rows, lines);
    return { stages, margins: inMarginKernel(margins, problem, rows, before, { straight: true }) };
  },
};
