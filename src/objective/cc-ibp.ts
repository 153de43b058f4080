/**
 * CC-IBP (De Palma et al. 2024, arXiv 2305.13991): the loss of a convex combination of margins, those at the
 * adversarial example and their lower bounds over the ball.
 *
 *   L_CC(θ) = CE(−[(1 − α)·m_θ(x*) + α·m̲_θ(B(x, ε))], y),  m_j = f_y − f_j
 *
 * Where MTL-IBP adds an image's two losses, here both parts see how far the mixture is from being right.
 */
import { add, mul } from '../graph/index.js';
import { type ExpressiveOptions, expressive, marginsOf } from './expressive.js';
import { marginCrossEntropy } from './losses.js';
import type { RobustLoss } from './robust-loss.js';

/** CC-IBP: cross-entropy of (1 − α)·attacked + α·bounded logit differences (De Palma 2024). */
export const ccIbp = (options: ExpressiveOptions): RobustLoss =>
  expressive('cc-ibp', options, ({ outputs, bounds, problem, alpha }) =>
    marginCrossEntropy(add(mul(marginsOf(outputs, problem), 1 - alpha), mul(bounds, alpha))),
  );
