/**
 * MTL-IBP (De Palma et al. 2024, arXiv 2305.13991): the convex combination of the adversarial and the
 * certified loss.
 *
 *   L_MTL(θ) = (1 − α)·CE(f_θ(x*), y) + α·CE(worst-case logits over B(x, ε), y)
 */
import { add, mul } from '../graph/index.js';
import { type ExpressiveOptions, expressive } from './expressive.js';
import { crossEntropy, marginCrossEntropy } from './losses.js';
import type { RobustLoss } from './robust-loss.js';

/** MTL-IBP: (1 − α)·attacked + α·bounded cross-entropy (De Palma 2024). */
export const mtlIbp = (options: ExpressiveOptions): RobustLoss =>
  expressive('mtl-ibp', options, ({ outputs, bounds, problem, alpha }) =>
    add(mul(crossEntropy(outputs, problem.labels), 1 - alpha), mul(marginCrossEntropy(bounds), alpha)),
  );
