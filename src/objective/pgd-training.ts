/**
 * Adversarial training: the loss at the example that projected gradient ascent finds (Madry et al. 2018,
 * arXiv 1706.06083).
 *
 *   L_PGD(θ) = CE(f_θ(x*), y),  x* ≈ argmax over B(x, ε) of CE(f_θ(x'), y)
 *
 * A lower bound of the worst case: networks it trains resist attacks, but are hard to certify.
 */
import { logitsOfRuns } from '../network/layer-runs.js';
import { adversary, type PixelAttack } from './ascent.js';
import { crossEntropy, naturalMargin } from './losses.js';
import type { RobustLoss } from './robust-loss.js';

/** Adversarial training: cross-entropy at the best point of a PGD attack (Madry 2018). */
export function pgdTraining(attack: PixelAttack = {}): RobustLoss {
  return {
    name: 'pgd',
    differentiable: true,
    build(problem) {
      const { stages, point, noise } = adversary(problem, attack);
      const outputs = logitsOfRuns(problem.network, problem.parameters, point);
      return {
        stages,
        loss: crossEntropy(outputs, problem.labels),
        counts: { adversarial: naturalMargin(outputs, problem.labels) },
        noise,
      };
    },
  };
}
