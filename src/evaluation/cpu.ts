/** The objective on one batch, one perturbation a task; θ is on the host, micro-batches run in parallel. */
import { parameterCount } from '../network/parameters.js';
import type { Objective } from '../objective/objective.js';
import type { Plan } from '../runtime/plan/plan.js';
import type { Pool } from '../runtime/pool/pool.js';
import type { ParameterSlice, TaskFeeds, TaskPerturbation } from '../runtime/pool/task.js';
import type { Key } from '../runtime/random/keys.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import { inSharedMemory } from '../runtime/shared-memory.js';
import { type BatchValues, batchValues, pairValues, scalarValues } from './batch-feeds.js';
import {
  type BatchObjective,
  checkPerturbations,
  type GradientPerturbations,
  type Perturbations,
  type PointEvaluation,
  type SigmaWeights,
} from './batch-objective.js';
import { opposite, perCoordinate } from './sigma.js';
import { type HostGradient, mean, rootMeanSquares, scaledBySigma, scores } from './sums.js';
import { type Point, WholeBatch } from './whole-batch.js';

/** An objective with the batch that it is evaluated on, cut into micro-batches. */
export interface EvaluatedBatch {
  readonly objective: Objective;
  /** Where each parameter array lies in θ. */
  readonly layout: readonly ParameterSlice[];
  readonly feeds: readonly TaskFeeds[];
  /** Images of the batch. */
  readonly images: number;
}

/** Loss and counts at θ + σ∘z and at θ − σ∘z of each of several keys. */
export interface PairValues {
  readonly plus: readonly BatchValues[];
  readonly minus: readonly BatchValues[];
}

/** The plan that gives gradients. @throws TypeError if there is none */
export function gradientPlan({ gradient }: Objective): Plan {
  if (gradient === undefined)
    throw new TypeError(
      'this objective has no gradient: its relaxation is not differentiable; use the estimator pgpe',
    );
  return gradient;
}

/**
 * An objective on one batch whose θ is the host's: workers evaluate it and its perturbations, summed in the
 * order of tasks.
 */
export class CpuObjective implements BatchObjective {
  constructor(
    protected readonly pool: Pool,
    protected readonly on: EvaluatedBatch,
    /** A differentiable objective on the same batch. */
    readonly guide?: BatchObjective,
  ) {}

  async gradient(theta: Float32Array): Promise<HostGradient> {
    const plan = gradientPlan(this.on.objective);
    return this.gradientAt(plan, inSharedMemory(theta));
  }

  async meanGradient(theta: Float32Array, perturbations: GradientPerturbations): Promise<HostGradient> {
    checkPerturbations(perturbations);
    const sigmas = [perCoordinate(perturbations.sigma)];
    if (perturbations.antithetic) sigmas.push(opposite(perturbations.sigma));
    const points = perturbations.keys.flatMap((key) => sigmas.map((sigma) => ({ key, sigma })));
    return mean(await this.gradientsAt(theta, points));
  }

  /** Loss, gradient and counts at each of several points. */
  protected async gradientsAt(
    theta: Float32Array,
    points: readonly TaskPerturbation[],
  ): Promise<readonly HostGradient[]> {
    const plan = gradientPlan(this.on.objective);
    const shared = inSharedMemory(theta);
    return Promise.all(points.map((point) => this.gradientAt(plan, shared, point)));
  }

  async rootMeanSquares(theta: Float32Array, ranges: readonly CoordinateRange[]) {
    return rootMeanSquares(theta, ranges);
  }

  readonly points: PointEvaluation = {
    gradients: async (theta, perturbations) => {
      const plan = gradientPlan(this.on.objective);
      const shared = inSharedMemory(theta);
      const sigma = perCoordinate(perturbations.sigma);
      return Promise.all(perturbations.keys.map((key) => this.gradientAt(plan, shared, { key, sigma })));
    },
    losses: async (theta, perturbations) => {
      const shared = inSharedMemory(theta);
      const sigma = perCoordinate(perturbations.sigma);
      const all = await Promise.all(perturbations.keys.map((key) => this.valuesAt(shared, { key, sigma })));
      return Float64Array.from(all, ({ loss }) => loss);
    },
    projections: async (vectors, { keys, sigma }) => {
      const scaled = vectors.map((vector) => inSharedMemory(scaledBySigma(vector, sigma)));
      const one = (key: Key, i: number) =>
        this.pool.project({ key, vector: (scaled[i] ?? scaled[0]) as Float64Array });
      return Float64Array.from(await Promise.all(keys.map(one)));
    },
    scores: async (weights, { keys, sigma }) => {
      const sums = await this.pool.normals({ keys, first: weights }, parameterCount(this.on.layout));
      return scores(sums, sigma).theta;
    },
  };

  async pairs(theta: Float32Array, perturbations: Perturbations) {
    const { plus, minus } = await this.pairsAt(theta, perturbations);
    return {
      ...pairValues(this.on.objective, plus, minus),
      scores: (first: Float64Array, second?: SigmaWeights) => this.scoresOf(perturbations, first, second),
    };
  }

  /** Loss and counts at both points of each key. */
  protected async pairsAt(theta: Float32Array, { keys, sigma }: Perturbations): Promise<PairValues> {
    const { objective, layout, feeds, images } = this.on;
    const shared = inSharedMemory(theta);
    const spread = perCoordinate(sigma);
    if (objective.statistics !== undefined) return this.singlePairs(shared, { keys, sigma });
    const plan = objective.value;
    const found = await this.pool.pairs({ plan, feeds, theta: shared, layout, keys, sigma: spread });
    const point = found.length / (2 * keys.length);
    const at = (i: number) =>
      scalarValues(objective, found.subarray(i * point, (i + 1) * point), plan.results, images);
    return { plus: keys.map((_, i) => at(2 * i)), minus: keys.map((_, i) => at(2 * i + 1)) };
  }

  /** Pairs whose two points have statistics of their own. */
  private async singlePairs(theta: Float32Array, { keys, sigma }: Perturbations): Promise<PairValues> {
    const at = (spread: number | Float32Array) =>
      Promise.all(keys.map((key) => this.valuesAt(theta, { key, sigma: spread })));
    return { plus: await at(perCoordinate(sigma)), minus: await at(opposite(sigma)) };
  }

  private async scoresOf({ keys, sigma }: Perturbations, first: Float64Array, second?: SigmaWeights) {
    const weights = { keys, first, second: second?.weights };
    return scores(await this.pool.normals(weights, parameterCount(this.on.layout)), sigma, second?.groups);
  }

  /** Loss and counts at one point. */
  async valuesAt(theta: Float32Array, perturbation?: TaskPerturbation): Promise<BatchValues> {
    const { objective, feeds, images } = this.on;
    const plan = objective.value;
    const point = await this.pointAt(theta, perturbation);
    const parts = await Promise.all(feeds.map((feed) => this.pool.run({ plan, feeds: feed, ...point })));
    return batchValues(
      objective,
      parts.map(({ outputs }) => outputs),
      images,
    );
  }

  private get wholeBatch(): WholeBatch | undefined {
    const { objective, feeds } = this.on;
    return objective.statistics && new WholeBatch(this.pool, objective.statistics, feeds);
  }

  /** What programs are run at: θ, or θ with the statistics of the whole batch there. */
  private async pointAt(theta: Float32Array, perturbation?: TaskPerturbation): Promise<Point> {
    const point = { theta, layout: this.on.layout, perturbation };
    return (await this.wholeBatch?.at(point)) ?? point;
  }

  /** Loss and gradient at one point, micro-batches summed in their order. */
  private async gradientAt(
    plan: Plan,
    theta: Float32Array,
    perturbation?: TaskPerturbation,
  ): Promise<HostGradient> {
    const { objective, feeds, images } = this.on;
    const point = await this.pointAt(theta, perturbation);
    const parts = await Promise.all(feeds.map((feed) => this.pool.run({ plan, feeds: feed, ...point })));
    const sum = parts[0]?.gradient as Float32Array;
    for (const { gradient: more } of parts.slice(1))
      for (let i = 0; i < sum.length; i++)
        sum[i] = (sum[i] as number) + ((more as Float32Array)[i] as number);
    const gradient = (await this.wholeBatch?.through(point, sum, theta.length)) ?? sum;
    const outputs = parts.map((part) => part.outputs);
    return { ...batchValues(objective, outputs, images), gradient };
  }
}
