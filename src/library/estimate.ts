/** Gradient estimators for any function of a vector. */
import { functionObjective } from '../evaluation/function-objective.js';
import { keyOf } from '../runtime/random/keys.js';
import type { Estimate, Estimator } from '../smoothing/estimator.js';

/** What an estimator found, its gradient as numbers. */
export interface HostEstimate<State> extends Estimate<State> {
  readonly gradient: Float32Array;
}

/** A loss of a vector, and where an estimate of its gradient is taken. */
export interface EstimateOptions<State> {
  /** ∂L/∂θ; `none` and `rgs` need it, `pgpe` takes values alone. */
  readonly gradient?: (theta: Float32Array) => ArrayLike<number>;
  /** Seed of the perturbations (default 0). */
  readonly seed?: number;
  /** Step number, from 0; each draws perturbations of its own (default 0). */
  readonly step?: number;
  /** Number of steps of the whole run, which σ schedules go by (default 1). */
  readonly steps?: number;
  /** State of the estimator after the step before (default: its first). */
  readonly state?: State;
}

/**
 * Estimates the gradient of a loss, or of its Gaussian average L_σ(θ) = E L(θ + σ∘z), z ∼ N(0, I).
 *
 * @param loss L(θ); the array it is called with is used again: read it, do not keep it
 * @param theta the point θ
 * @param estimator `none()`, `rgs({ … })`, `pgpe({ … })`, or one of your own
 * @returns gradient, loss and the estimator's next state
 * @throws TypeError if the estimator needs a gradient and none is given
 * @example
 * ```js
 * import { estimate, pgpe } from 'tautnet';
 *
 * const steep = (theta) => Math.abs(theta[0]) + (theta[1] > 0 ? 1 : 0); // not differentiable
 * let theta = Float32Array.of(1, 0.5);
 * let state;
 * for (let step = 0; step < 100; step++) {
 *   const at = { step, steps: 100, state };
 *   const found = await estimate(steep, theta, pgpe({ samples: 16, sigma: 0.3 }), at);
 *   theta = theta.map((value, i) => value - 0.05 * found.gradient[i]);
 *   state = found.state;
 * }
 * console.log(steep(theta)); // the minimum is 0
 * ```
 */
export async function estimate<State>(
  loss: (theta: Float32Array) => number,
  theta: ArrayLike<number>,
  estimator: Estimator<State>,
  options: EstimateOptions<State> = {},
): Promise<HostEstimate<State>> {
  const { gradient, seed = 0, step = 0, steps = 1 } = options;
  const point = Float32Array.from(theta);
  const state = options.state ?? estimator.init(point.length, [{ offset: 0, size: point.length }]);
  const objective = functionObjective(point.length, loss, gradient);
  const context = { key: keyOf(seed), step, epoch: step, epochs: steps };
  const found = await estimator.estimate(state, point, objective, context);
  return { ...found, gradient: found.gradient as Float32Array };
}
