/**
 * Projected gradient ascent inside a program: how training methods find the point that they train on.
 *
 *   z⁰ = l + ν ∘ (u − l),  zᵏ⁺¹ = Π(zᵏ + aₖ r ∘ sign ∂loss/∂z),  Π the projection onto the box [l, u]
 *
 * with ν uniform on [0, 1) and given as an input, r the radius of the box and aₖ = 0.5, then 0.05 after half
 * and 0.005 after seven eighths of the steps, as in `attack/pgd`. Of all points of all restarts, first and
 * last included, each image gets the one of the largest loss. It depends on θ, so it is found anew at each
 * perturbed θ of a smoothed loss; ν does not, so all of them start at the same place of their boxes.
 */
import { stepSizeAt } from '../attack/pgd.js';
import {
  add,
  gradient,
  greater,
  input,
  maximum,
  minimum,
  mul,
  type Shape,
  sign,
  slice,
  sub,
  sum,
  type Tensor,
  total,
  transpose,
  where,
} from '../graph/index.js';
import { logitsOfRuns } from '../network/layer-runs.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Bounds } from '../relaxation/relaxation.js';
import type { IterateStage, Stage } from '../runtime/plan/plan.js';
import { inputBox } from './input-box.js';
import { crossEntropy } from './losses.js';
import type { RobustProblem } from './robust-loss.js';

/** Steps x ← Π(x + a_k·sign ∇ loss) of an attack inside training, by graph operators; a_k decays from a₀. */
export interface AscentOptions {
  /** Gradient steps of each restart (default 8). */
  readonly steps?: number;
  /** a₀, in units of the radius (default 0.5). */
  readonly stepSize?: number;
  /** Starts at random places (default 1). */
  readonly restarts?: number;
}

/** An attack on the pixels, whose ball may differ from the one that is bounded. */
export interface PixelAttack extends AscentOptions {
  /** Radius of the ball that is searched, in units of ε (default 1). */
  readonly radius?: number;
}

/** Π(z) onto the box. */
const project = (z: Tensor, { lower, upper }: Bounds): Tensor => minimum(maximum(z, lower), upper);

/** A uniformly random place of the box, from numbers uniform on [0, 1). */
export const randomPlace = (box: Bounds, noise: Tensor): Tensor =>
  project(add(box.lower, mul(noise, sub(box.upper, box.lower))), box);

export interface Ascent extends AscentOptions {
  /** Name of the array that ends as the best point found. */
  readonly name: string;
  /** First point of each restart; depends on parameters and inputs only. */
  starts(restart: number): Tensor;
  readonly shape: Shape;
  /** Tensors that broadcast to the point's shape. */
  readonly box: Bounds;
  /** What step sizes are relative to. */
  readonly radius: Tensor;
  /** What grows, a number for each point: [1, …] beside a point of [features, …]. */
  loss(point: Tensor): Tensor;
}

/** Below every loss, and far from overflow. */
const LOWEST = -1e30;

/** Names of a restart's arrays: its point, the best point up to it, and the loss there. */
const namesOf = (name: string, restart: number) => ({
  start: `${name} start ${restart}`,
  point: `${name} point ${restart}`,
  best: `${name} best ${restart}`,
  height: `${name} height ${restart}`,
});

/** @throws RangeError for numbers that are none of an attack */
function checkAscent({ steps = 8, stepSize = 0.5, restarts = 1 }: AscentOptions): Required<AscentOptions> {
  for (const [what, count] of Object.entries({ steps, restarts }))
    if (!Number.isInteger(count) || count < 1)
      throw new RangeError(`attack: expected ${what} to be an integer ≥ 1, got ${count}`);
  if (!(stepSize > 0)) throw new RangeError(`attack: expected a step size above 0, got ${stepSize}`);
  return { steps, stepSize, restarts };
}

/** The ascent of one restart: its point moves, the best point so far is replaced where the loss is larger. */
function restartStage(ascent: Ascent, restart: number, steps: number, stepSize: number): IterateStage {
  const { name, shape, box, radius, loss } = ascent;
  const names = namesOf(name, restart);
  const before = namesOf(name, restart - 1);
  const dtype = box.lower.dtype;
  const point = input(names.point, shape, dtype);
  const best = input(names.best, shape, dtype);
  const height = input(names.height, [1, ...shape.slice(1)], dtype);
  const size = input(`${name} step`, [], dtype);
  const here = loss(point);
  const [slope] = gradient(total(here), [point]) as [Tensor];
  const next = (value: Tensor, rise: Tensor) => ({
    [names.point]: project(add(point, mul(sign(rise), mul(radius, size))), box),
    [names.best]: where(greater(value, height), point, best),
    [names.height]: maximum(value, height),
  });
  return {
    kind: 'iterate',
    count: steps,
    state: {
      [names.point]: names.start,
      [names.best]: restart === 0 ? names.start : `${before.best} of all`,
      [names.height]: restart === 0 ? `${name} lowest` : `${before.height} of all`,
    },
    next: next(here, slope),
    ascent: { point, value: here, next },
    schedule: {
      [`${name} step`]: Array.from({ length: steps }, (_, k) => stepSizeAt(k, steps, { stepSize })),
    },
  };
}

/** What is best after the last step of a restart, whose point the loop has not looked at. */
function comparison({ name, shape, box, loss }: Ascent, restart: number, last: boolean): Stage {
  const names = namesOf(name, restart);
  const dtype = box.lower.dtype;
  const point = input(names.point, shape, dtype);
  const height = input(names.height, [1, ...shape.slice(1)], dtype);
  const here = loss(point);
  const best = where(greater(here, height), point, input(names.best, shape, dtype));
  const outputs = { [`${names.best} of all`]: best, [`${names.height} of all`]: maximum(here, height) };
  return { kind: 'whole', outputs: last ? { [name]: best } : outputs, constant: true };
}

/**
 * The attack as stages of a plan, constant to derivatives.
 * @throws RangeError for steps, sizes or restarts that are none
 */
export function ascentStages(ascent: Ascent): Stage[] {
  const { steps, stepSize, restarts } = checkAscent(ascent);
  const each = Array.from({ length: restarts }, (_, restart) => restart);
  const starts = each.map(
    (restart) => [namesOf(ascent.name, restart).start, ascent.starts(restart)] as const,
  );
  const lowest = minimum(sum((starts[0] as readonly [string, Tensor])[1], [0]), LOWEST);
  return [
    {
      kind: 'whole',
      outputs: { ...Object.fromEntries(starts), [`${ascent.name} lowest`]: lowest },
      constant: true,
    },
    ...each.flatMap((restart) => [
      restartStage(ascent, restart, steps, stepSize),
      comparison(ascent, restart, restart === restarts - 1),
    ]),
  ];
}

/** Columns of `noise` that restart number `restart` starts from, [features, …]. */
export const noiseOf = (noise: Tensor, restart: number, features: number): Tensor =>
  slice(noise, 0, restart * features, (restart + 1) * features);

export interface Adversary {
  readonly stages: readonly Stage[];
  /** x*, [features, batch]: a constant to derivatives. */
  readonly point: Tensor;
  /** See `RobustGraph`. */
  readonly noise: Readonly<Record<string, number>>;
}

/**
 * x* = argmax of CE(f_θ(x'), y) over the ball of radius `radius`·ε around x, as found by the ascent (Madry et
 * al. 2018, arXiv 1706.06083).
 * @throws RangeError for a radius that is not above 0, and as `ascentStages`
 */
export function adversary(
  { network, parameters, x, labels, epsilon, clip, batch, dtype }: RobustProblem,
  options: PixelAttack = {},
): Adversary {
  const { radius: factor = 1, restarts = 1 } = options;
  if (!(factor > 0)) throw new RangeError(`attack: expected a radius above 0, in units of ε, got ${factor}`);
  const features = featuresOf(network.input);
  const radius = factor === 1 ? epsilon : mul(epsilon, factor);
  const box = inputBox(x, radius, clip);
  const shape = [features, batch];
  const noise = transpose(input('start', [batch, features * restarts], dtype));
  return {
    stages: ascentStages({
      ...options,
      name: 'adversary',
      starts: (restart) => randomPlace(box, noiseOf(noise, restart, features)),
      shape,
      box,
      radius,
      loss: (point) => crossEntropy(logitsOfRuns(network, parameters, point), labels),
    }),
    point: input('adversary', shape, dtype),
    noise: { start: features * restarts },
  };
}
