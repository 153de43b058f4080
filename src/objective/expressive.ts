/**
 * What the expressive losses of De Palma et al. 2024 (arXiv 2305.13991) share: the adversarial example's
 * logits and sound lower bounds of the margins, both over the ball B(x, ε). A loss is expressive if α ∈ [0,
 * 1] takes it from the one, a lower bound of the worst case, to the other, an upper bound.
 */
import { mul, reshape, sum, type Tensor } from '../graph/index.js';
import { logitsOfRuns } from '../network/layer-runs.js';
import { interval } from '../relaxation/interval.js';
import { type Relaxation, specificationMargins } from '../relaxation/relaxation.js';
import { adversary, type PixelAttack } from './ascent.js';
import { inputBox } from './input-box.js';
import { naturalMargin, worstMargin } from './losses.js';
import type { RobustLoss, RobustProblem } from './robust-loss.js';

/**
 * Options of losses between attack and bound (De Palma et al. 2024): α = 0 is the attack's, α = 1 the
 * bound's.
 */
export interface ExpressiveOptions {
  /** α ∈ [0, 1], weight of the bound. */
  readonly alpha: number;
  /** Default: interval bounds, as published. */
  readonly relaxation?: Relaxation;
  readonly attack?: PixelAttack;
}

/** Margins f_y − f_j, j ≠ y ascending, [classes − 1, batch], of logits [classes, batch]. */
export function marginsOf(outputs: Tensor, { network, labels, dtype, batch }: RobustProblem): Tensor {
  const coefficients = specificationMargins({ kind: 'labels', labels }, network.classes, dtype);
  return reshape(sum(mul(coefficients, reshape(outputs, [network.classes, 1, batch])), [0]), [
    network.classes - 1,
    batch,
  ]);
}

/** The loss of each image, [1, batch], from the logits at x*, margin bounds, and α. */
export type Mixture = (parts: {
  readonly outputs: Tensor;
  readonly bounds: Tensor;
  readonly problem: RobustProblem;
  readonly alpha: number;
}) => Tensor;

/** @throws RangeError for α outside [0, 1] */
export function expressive(
  name: string,
  { alpha, relaxation = interval, attack }: ExpressiveOptions,
  mixture: Mixture,
): RobustLoss {
  if (!(alpha >= 0 && alpha <= 1)) throw new RangeError(`${name}: expected alpha in [0, 1], got ${alpha}`);
  return {
    name,
    differentiable: relaxation.differentiable,
    build(problem) {
      const { network, parameters, x, labels, epsilon, clip } = problem;
      const { stages, point, noise } = adversary(problem, attack);
      const bound = relaxation.bound({
        network,
        parameters,
        box: inputBox(x, epsilon, clip),
        specification: { kind: 'labels', labels },
      });
      const outputs = logitsOfRuns(network, parameters, point);
      return {
        stages: [...stages, ...bound.stages],
        loss: mixture({ outputs, bounds: bound.margins, problem, alpha }),
        counts: { certified: worstMargin(bound.margins), adversarial: naturalMargin(outputs, labels) },
        noise,
      };
    },
  };
}
