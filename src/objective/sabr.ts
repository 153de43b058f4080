/**
 * SABR, small adversarial bounding regions (Müller et al. 2023, arXiv 2210.04871): a sound bound over a small
 * box around an adversarial example instead of the whole ball.
 *
 *   x* ≈ argmax over B(x, ε) of CE(f_θ(x'), y),  L_SABR(θ) = CE(worst-case logits over the small box, y)
 *
 * The small box has radius λε around x* and is moved, not cut, until it lies in the ball B(x, ε) ∩ [0, 1]:
 * its width is 2λε at every pixel, on a black background too, as in the code of its authors; where the ball
 * is narrower than that, it is the whole ball. (CTBench's code cuts the box at 0 and 1.)
 *
 * λ = 1 is certified training over the whole ball, λ → 0 adversarial training. In between, the box
 * regularises less than that of IBP and still leaves networks that a verifier can certify. Published with
 * interval bounds; any relaxation can bound the small box.
 */
import { add, maximum, minimum, mul, sub, type Tensor } from '../graph/index.js';
import { interval } from '../relaxation/interval.js';
import type { Bounds, Relaxation } from '../relaxation/relaxation.js';
import { type Adversary, adversary, type PixelAttack } from './ascent.js';
import { inputBox } from './input-box.js';
import { marginCrossEntropy } from './losses.js';
import { boxPropagation } from './relu-shrinking.js';
import type { RobustLoss, RobustProblem } from './robust-loss.js';

/** Options of SABR (Müller et al. 2023): the loss is bounded over a small box around an attacked point. */
export interface SabrOptions {
  /** λ, radius of the small box in units of ε, in (0, 1]. */
  readonly lambda: number;
  /** Default: interval bounds. */
  readonly relaxation?: Relaxation;
  readonly attack?: PixelAttack;
  /** λ_r, part of their upper end that unstable ReLUs keep, with interval bounds only (default 1). */
  readonly shrinking?: number;
}

/** @throws RangeError for a proportion outside (0, 1] */
export function checkLambda(method: string, lambda: number): void {
  if (!(lambda > 0 && lambda <= 1))
    throw new RangeError(`${method}: expected lambda in (0, 1], got ${lambda}`);
}

/** The box of radius λε around x*, moved into the ball of radius ε around x. */
export function smallBox({ x, epsilon, clip }: RobustProblem, point: Tensor, lambda: number): Bounds {
  const ball = inputBox(x, epsilon, clip);
  const radius = mul(epsilon, lambda);
  const width = mul(epsilon, 2 * lambda);
  return {
    lower: maximum(minimum(sub(point, radius), sub(ball.upper, width)), ball.lower),
    upper: minimum(maximum(add(point, radius), add(ball.lower, width)), ball.upper),
  };
}

/** The attack in the ball, and the small box around what it found. */
export function adversarialBox(
  problem: RobustProblem,
  lambda: number,
  attack: PixelAttack = {},
): Adversary & { readonly box: Bounds } {
  const found = adversary(problem, attack);
  return { ...found, box: smallBox(problem, found.point, lambda) };
}

/** The relaxation of the small box. @throws RangeError for a λ_r outside (0, 1], or without intervals */
function shrunk(relaxation: Relaxation, shrinking: number): Relaxation {
  const { margins } = boxPropagation(shrinking);
  if (shrinking === 1) return relaxation;
  if (relaxation !== interval)
    throw new RangeError(`sabr: expected relaxation ibp with relu shrinking, got ${relaxation.name}`);
  return { ...relaxation, bound: (problem) => ({ stages: [], margins: margins(problem) }) };
}

/** @throws RangeError for λ outside (0, 1], or as `shrunk` */
export function sabr(options: SabrOptions): RobustLoss {
  const { lambda, attack, shrinking = 1 } = options;
  checkLambda('sabr', lambda);
  const relaxation = shrunk(options.relaxation ?? interval, shrinking);
  return {
    name: 'sabr',
    differentiable: relaxation.differentiable,
    build(problem) {
      const { network, parameters, labels } = problem;
      const { stages, box, noise } = adversarialBox(problem, lambda, attack);
      const bound = relaxation.bound({ network, parameters, box, specification: { kind: 'labels', labels } });
      return {
        stages: [...stages, ...bound.stages],
        loss: marginCrossEntropy(bound.margins),
        counts: {},
        noise,
      };
    },
  };
}
