/**
 * Exp-IBP (De Palma et al. 2024, arXiv 2305.13991): the geometric combination of the adversarial and the
 * certified loss.
 *
 *   L_Exp(θ) = CE(f_θ(x*), y)^(1 − α) · CE(worst-case logits over B(x, ε), y)^α
 *
 * On a logarithmic scale what MTL-IBP is on a linear one.
 */
import { add, exp, log, maximum, mul } from '../graph/index.js';
import { type ExpressiveOptions, expressive } from './expressive.js';
import { crossEntropy, marginCrossEntropy } from './losses.js';
import type { RobustLoss } from './robust-loss.js';

/** Smaller losses count as this: a confident network's is 0 in float32, which has no logarithm. */
const TINY = 1e-12;

/** Exp-IBP: attacked loss^(1 − α) · bounded loss^α (De Palma 2024). */
export const expIbp = (options: ExpressiveOptions): RobustLoss =>
  expressive('exp-ibp', options, ({ outputs, bounds, problem, alpha }) => {
    const adversarial = log(maximum(crossEntropy(outputs, problem.labels), TINY));
    const certified = log(maximum(marginCrossEntropy(bounds), TINY));
    return exp(add(mul(adversarial, 1 - alpha), mul(certified, alpha)));
  });
