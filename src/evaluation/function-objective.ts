/**
 * A plain TypeScript function as an objective, so that any function can be smoothed, here and now, with no
 * network.
 */
import { accumulateNormals, perturb, perturbPair } from '../runtime/random/keys.js';
import type { BatchObjective } from '../smoothing/estimator.js';
import { perCoordinate } from './sigma.js';
import { mean, scores } from './sums.js';

/**
 * The objective L = `loss` of so many parameters; `gradient` returns ∂L/∂θ and is needed by `none` and `rgs`
 * only. Both are called with an array that is used again afterwards: read it, do not keep it.
 */
export function functionObjective(
  parameters: number,
  loss: (theta: Float32Array) => number,
  gradient?: (theta: Float32Array) => ArrayLike<number>,
): BatchObjective {
  const check = (theta: Float32Array): void => {
    if (theta.length !== parameters)
      throw new RangeError(`functionObjective: expected ${parameters} parameters, got ${theta.length}`);
  };
  return {
    async meanGradient(theta, perturbations) {
      check(theta);
      if (gradient === undefined)
        throw new TypeError(
          'functionObjective: expected a gradient function, got none; give one or use pgpe, which needs ' +
            'values only',
        );
      const point = new Float32Array(parameters);
      return mean(
        perturbations.map((perturbation) => {
          if (perturbation) perturb(theta, perturbation.key, perCoordinate(perturbation.sigma), 1, point);
          else point.set(theta);
          return { loss: loss(point), gradient: Float32Array.from(gradient(point)), metrics: {} };
        }),
      );
    },
    async pairs(theta, perturbations) {
      check(theta);
      const [above, below] = [new Float32Array(parameters), new Float32Array(parameters)];
      const [plus, minus] = [new Float64Array(perturbations.length), new Float64Array(perturbations.length)];
      for (const [i, { key, sigma }] of perturbations.entries()) {
        perturbPair(theta, key, perCoordinate(sigma), above, below);
        plus[i] = loss(above);
        minus[i] = loss(below);
      }
      return { plus, minus, metrics: {} };
    },
    weightedScores: async (keys, sigma, first, second) =>
      scores(accumulateNormals(keys, first, second?.weights, 0, parameters), sigma, second?.groups),
  };
}
