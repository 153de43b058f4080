/**
 * A plain TypeScript function as an objective, so that any function can be smoothed, here and now, with no
 * network.
 */
import { accumulateNormals, type Key, perturb, perturbPair, projectNormals } from '../runtime/random/keys.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import {
  type BatchObjective,
  checkPerturbations,
  type GradientPerturbations,
  type Perturbations,
  type PointEvaluation,
  type SigmaWeights,
} from './batch-objective.js';
import { perCoordinate } from './sigma.js';
import { mean, rootMeanSquares, scaledBySigma, scores } from './sums.js';

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

  async meanGradient(theta: Float32Array, perturbations: GradientPerturbations) {
    this.check(theta);
    checkPerturbations(perturbations);
    const sigma = perCoordinate(perturbations.sigma);
    const signs = perturbations.antithetic ? ([1, -1] as const) : ([1] as const);
    return mean(
      perturbations.keys.flatMap((key) => signs.map((sign) => this.at(this.point(theta, key, sigma, sign)))),
    );
  }

  private point(theta: Float32Array, key: Key, sigma: number | Float32Array, sign: 1 | -1 = 1) {
    const point = new Float32Array(this.parameters);
    perturb(theta, key, sigma, sign, point);
    return point;
  }

  async rootMeanSquares(theta: Float32Array, ranges: readonly CoordinateRange[]) {
    return rootMeanSquares(theta, ranges);
  }

  readonly points: PointEvaluation = {
    gradients: async (theta, { keys, sigma }) =>
      keys.map((key) => this.at(this.point(theta, key, perCoordinate(sigma)))),
    losses: async (theta, { keys, sigma }) =>
      Float64Array.from(keys, (key) => this.loss(this.point(theta, key, perCoordinate(sigma)))),
    projections: async (vectors, { keys, sigma }) => {
      const scaled = vectors.map((vector) => scaledBySigma(vector, sigma));
      return Float64Array.from(keys, (key, i) =>
        projectNormals(key, (scaled[i] ?? scaled[0]) as Float64Array),
      );
    },
    scores: async (weights, { keys, sigma }) =>
      scores(accumulateNormals(keys, weights, undefined, 0, this.parameters), sigma).theta,
  };

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
