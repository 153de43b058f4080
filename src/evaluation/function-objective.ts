/**
 * A plain TypeScript function as an objective, so that any function can be smoothed, here and now, with no
 * network.
 */
import { accumulateNormals, perturb, perturbPair } from '../runtime/random/keys.js';
import {
  type BatchObjective,
  checkPerturbations,
  type Perturbations,
  type SigmaWeights,
} from './batch-objective.js';
import { perCoordinate } from './sigma.js';
import { mean, scores } from './sums.js';

type Loss = (theta: Float32Array) => number;
type Gradient = (theta: Float32Array) => ArrayLike<number>;

class FunctionObjective implements BatchObjective {
  constructor(
    private readonly parameters: number,
    private readonly loss: Loss,
    private readonly derivative?: Gradient,
  ) {}

  private check(theta: Float32Array): void {
    if (theta.length !== this.parameters)
      throw new RangeError(`functionObjective: expected ${this.parameters} parameters, got ${theta.length}`);
  }

  private at(point: Float32Array) {
    if (this.derivative === undefined)
      throw new TypeError(
        'functionObjective: expected a gradient function, got none; give one or use pgpe, which needs ' +
          'values only',
      );
    return { loss: this.loss(point), gradient: Float32Array.from(this.derivative(point)), metrics: {} };
  }

  async gradient(theta: Float32Array) {
    this.check(theta);
    return this.at(theta.slice());
  }

  async meanGradient(theta: Float32Array, perturbations: Perturbations) {
    this.check(theta);
    checkPerturbations(perturbations);
    const sigma = perCoordinate(perturbations.sigma);
    const point = new Float32Array(this.parameters);
    return mean(
      perturbations.keys.map((key) => {
        perturb(theta, key, sigma, 1, point);
        return this.at(point);
      }),
    );
  }

  async pairs(theta: Float32Array, { keys, sigma }: Perturbations) {
    this.check(theta);
    const [above, below] = [new Float32Array(this.parameters), new Float32Array(this.parameters)];
    const [plus, minus] = [new Float64Array(keys.length), new Float64Array(keys.length)];
    for (const [i, key] of keys.entries()) {
      perturbPair(theta, key, perCoordinate(sigma), above, below);
      plus[i] = this.loss(above);
      minus[i] = this.loss(below);
    }
    return {
      plus,
      minus,
      metrics: {},
      scores: async (first: Float64Array, second?: SigmaWeights) =>
        scores(accumulateNormals(keys, first, second?.weights, 0, this.parameters), sigma, second?.groups),
    };
  }
}

/**
 * The objective L = `loss` of so many parameters; `gradient` returns ∂L/∂θ and is needed by `none` and `rgs`
 * only. Both are called with an array that is used again afterwards: read it, do not keep it.
 */
export const functionObjective = (parameters: number, loss: Loss, gradient?: Gradient) =>
  new FunctionObjective(parameters, loss, gradient);
