/**
 * The objective on one batch, many perturbations in one call of a device: θ on the host, z drawn where the
 * programs run, only losses and gradients come back.
 */
import type { Pool } from '../runtime/pool/pool.js';
import { batchValues, pairValues } from './batch-feeds.js';
import {
  type BatchObjective,
  checkPerturbations,
  type GradientPerturbations,
  type Perturbations,
  type SigmaWeights,
} from './batch-objective.js';
import { CpuObjective, type EvaluatedBatch, gradientPlan } from './cpu.js';
import {
  type CallLimits,
  cut,
  cutWeights,
  gradientKind,
  inCalls,
  type MemberResult,
  membersOfCalls,
  type PopulationKind,
} from './population.js';
import { sigmaFeeds } from './sigma.js';
import { mean, scores } from './sums.js';

/** At θ itself there is nothing to batch: `gradient` is that of the CPU's way. */
export class BatchedObjective extends CpuObjective {
  constructor(
    pool: Pool,
    on: EvaluatedBatch,
    /** Limits of calls; those of the device's memory unless given. */
    private readonly limits?: CallLimits,
    guide?: BatchObjective,
  ) {
    super(pool, on, guide);
  }

  override async meanGradient(theta: Float32Array, perturbations: GradientPerturbations) {
    checkPerturbations(perturbations);
    gradientPlan(this.on.objective);
    const { members } = await this.evaluate(gradientKind(perturbations), theta, perturbations);
    const { plus, minus } = members;
    return mean(
      plus
        .flatMap((member, i) => [member, ...minus.slice(i, i + 1)])
        .map((member) => ({
          ...this.valuesOf(member),
          gradient: member.gradient as Float32Array,
        })),
    );
  }

  override async pairs(theta: Float32Array, perturbations: Perturbations) {
    const { keys, sigma } = perturbations;
    const { members, programs } = await this.evaluate('pairs', theta, perturbations);
    const { plus, minus } = members;
    return {
      ...pairValues(this.on.objective, plus.map(this.valuesOf), minus.map(this.valuesOf)),
      // Cut as the pairs were: the device has the normals of the last call still.
      scores: async (first: Float64Array, second?: SigmaWeights) => {
        const sums = await this.pool.weigh({
          programs,
          calls: cut(keys, programs.keys),
          first: cutWeights(first, programs.keys),
          second: second && cutWeights(second.weights, programs.keys),
        });
        return scores(sums, sigma, second?.groups);
      },
    };
  }

  private readonly valuesOf = ({ outputs }: MemberResult) =>
    batchValues(this.on.objective, outputs, this.on.images);

  private async evaluate(kind: PopulationKind, theta: Float32Array, perturbations: Perturbations) {
    const { objective, layout, feeds } = this.on;
    const { keys, sigma } = perturbations;
    const limits = this.limits ?? (await this.pool.memory());
    const parameters = { θ: theta, ...sigmaFeeds(sigma) };
    const { calls, result } = await inCalls(
      { objective, kind, perturbations, limits },
      ({ plan, programs }) =>
        this.pool.population({ plan, feeds, parameters, programs, calls: cut(keys, programs.keys) }),
    );
    const { programs } = calls;
    return { members: membersOfCalls(result, layout, keys.length, programs.keys), programs };
  }
}
