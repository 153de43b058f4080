/**
 * STAPS (Mao et al. 2023, arXiv 2305.04574): TAPS over SABR's small box. The box of radius λε around an
 * adversarial example, moved into the ball of radius ε, goes through the extractor by interval bounds,
 * and the attack in the embedding starts from there.
 *
 * λ = 1 is TAPS.
 */
import type { PixelAttack } from './ascent.js';
import type { RobustLoss } from './robust-loss.js';
import { adversarialBox, checkLambda } from './sabr.js';
import { type TapsOptions, tapsOver } from './taps.js';

/** Options of STAPS: TAPS over the small boxes of SABR. */
export interface StapsOptions extends TapsOptions {
  /** λ, radius of the small box in units of ε, in (0, 1]. */
  readonly lambda: number;
  /** The attack on the pixels (default: as `attack`). */
  readonly inputAttack?: PixelAttack;
}

/** @throws RangeError for λ outside (0, 1] */
export function staps({ lambda, inputAttack, ...options }: StapsOptions): RobustLoss {
  checkLambda('staps', lambda);
  return {
    name: 'staps',
    differentiable: true,
    build(problem) {
      const { stages, box, noise } = adversarialBox(problem, lambda, inputAttack ?? options.attack);
      const inner = tapsOver(problem, box, options);
      // Bounds over the small box prove nothing about the ball.
      return {
        ...inner,
        stages: [...stages, ...inner.stages],
        counts: {},
        noise: { ...noise, ...inner.noise },
      };
    },
  };
}
