/**
 * Certified training with a sound bound: the cross-entropy of the worst case that lower bounds of the margins
 * over the whole ball allow (Gowal et al. 2018, arXiv 1810.12715 for IBP; Zhang et al. 2020, arXiv 1906.06316
 * for CROWN-IBP).
 */
import { maximum, sub } from '../graph/index.js';
import type { BoundProblem, Relaxation } from '../relaxation/relaxation.js';
import { inputBox } from './input-box.js';
import { marginCrossEntropy, worstMargin } from './losses.js';
import type { RobustLoss } from './robust-loss.js';

/** log 2: below this cross-entropy Σ_j≠y exp(logit_j − logit_y) < 1, so that every margin is positive. */
const PROOF = Math.log(2);

/** How the certified loss is bounded. */
export interface CertifiedOptions {
  /** Bound the loss at once instead of each margin, for relaxations that can (default false). */
  readonly fusion?: boolean;
}

/**
 * CE(worst-case logits over B(x, ε) under the relaxation, y), or with fusion an upper bound of it.
 * @throws RangeError for fusion with a relaxation that has none
 */
export function certified(relaxation: Relaxation, { fusion = false }: CertifiedOptions = {}): RobustLoss {
  return {
    name: relaxation.name,
    differentiable: relaxation.differentiable,
    ...(!fusion && { bound: relaxation }),
    build({ network, parameters, x, labels, epsilon, clip }) {
      const problem: BoundProblem = {
        network,
        parameters,
        box: inputBox(x, epsilon, clip),
        specification: { kind: 'labels', labels },
      };
      if (!fusion) {
        const { stages, margins } = relaxation.bound(problem);
        return {
          stages,
          loss: marginCrossEntropy(margins),
          counts: { certified: worstMargin(margins) },
          noise: {},
        };
      }
      if (relaxation.fused === undefined)
        throw new RangeError(
          `loss fusion: expected a relaxation that has it (crown-ibp), got ${relaxation.name}; leave it out`,
        );
      const { stages, loss, margins } = relaxation.fused(problem);
      return {
        stages,
        loss,
        counts: { certified: maximum(worstMargin(margins), sub(PROOF, loss)) },
        noise: {},
      };
    },
  };
}
