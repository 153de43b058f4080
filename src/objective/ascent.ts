/**
 * Projected gradient ascent inside a program: how training methods find the point that they train on.
 *
 *   z⁰ = l + ν ∘ (u − l),  zᵏ⁺¹ = Π(zᵏ + aₖ r ∘ sign ∂loss/∂z),  Π the projection onto the box [l, u]
 *
 * with ν uniform on [0, 1) and given as an input, r the radius of the box and aₖ = 0.5, then 0.05 after half
 * and 0.005 after seven eighths of the steps, as in `attack/pgd`. The last point is kept. It depends on θ, so
 * it is found anew at each perturbed θ of a smoothed loss; ν does not, so all of them start at the same place
 * of their boxes.
 */
import { stepSizeAt } from '../attack/pgd.js';
import {
  add,
  gradient,
  input,
  maximum,
  minimum,
  mul,
  type Shape,
  sign,
  sub,
  type Tensor,
  total,
  transpose,
} from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { logits } from '../network/network.js';
import type { Bounds } from '../relaxation/relaxation.js';
import type { IterateStage, Stage } from '../runtime/plan/plan.js';
import { inputBox } from './input-box.js';
import { crossEntropy } from './losses.js';
import type { RobustProblem } from './robust-loss.js';

export interface AscentOptions {
  /** Gradient steps (default 8). */
  readonly steps?: number;
  /** a₀, in units of the radius (default 0.5). */
  readonly stepSize?: number;
}

/** Π(z) onto the box. */
const project = (z: Tensor, { lower, upper }: Bounds): Tensor => minimum(maximum(z, lower), upper);

/** A uniformly random place of the box, from numbers uniform on [0, 1). */
export const randomPlace = (box: Bounds, noise: Tensor): Tensor =>
  project(add(box.lower, mul(noise, sub(box.upper, box.lower))), box);

export interface Ascent extends AscentOptions {
  /** Name of the array that ends as the point found. */
  readonly name: string;
  /** Name of the array with the first point. */
  readonly start: string;
  readonly shape: Shape;
  /** Tensors that broadcast to the point's shape. */
  readonly box: Bounds;
  /** What step sizes are relative to. */
  readonly radius: Tensor;
  /** The scalar that grows. */
  loss(point: Tensor): Tensor;
}

/** The loop as a stage of a plan. @throws RangeError for steps or sizes that are none */
export function ascentStage({
  name,
  start,
  shape,
  box,
  radius,
  loss,
  steps = 8,
  stepSize = 0.5,
}: Ascent): IterateStage {
  if (!Number.isInteger(steps) || steps < 1)
    throw new RangeError(`attack: expected steps to be an integer ≥ 1, got ${steps}`);
  if (!(stepSize > 0)) throw new RangeError(`attack: expected a step size above 0, got ${stepSize}`);
  const point = input(name, shape, box.lower.dtype);
  const size = input(`${name} step`, [], box.lower.dtype);
  const [slope] = gradient(loss(point), [point]) as [Tensor];
  return {
    kind: 'iterate',
    count: steps,
    state: { [name]: start },
    next: { [name]: project(add(point, mul(sign(slope), mul(radius, size))), box) },
    schedule: {
      [`${name} step`]: Array.from({ length: steps }, (_, k) => stepSizeAt(k, steps, { stepSize })),
    },
  };
}

export interface Adversary {
  readonly stages: readonly Stage[];
  /** x*, [features, batch]: a constant to derivatives. */
  readonly point: Tensor;
  /** See `RobustGraph`. */
  readonly noise: Readonly<Record<string, number>>;
}

/**
 * x* = argmax of CE(f_θ(x'), y) over the ball of this radius around x, as found by the ascent (Madry et al.
 * 2018, arXiv 1706.06083).
 */
export function adversary(
  { network, parameters, x, labels, clip, batch, dtype }: RobustProblem,
  radius: Tensor,
  options: AscentOptions = {},
): Adversary {
  const features = featuresOf(network.input);
  const box = inputBox(x, radius, clip);
  const noise = transpose(input('start', [batch, features], dtype));
  const shape = [features, batch];
  const loss = (point: Tensor) => total(crossEntropy(logits(network, parameters, point), labels));
  return {
    stages: [
      { kind: 'whole', outputs: { 'adversary start': randomPlace(box, noise) } },
      ascentStage({ ...options, name: 'adversary', start: 'adversary start', shape, box, radius, loss }),
    ],
    point: input('adversary', shape, dtype),
    noise: { start: features },
  };
}
