/**
 * The objective on one batch while θ and gradients stay on the device: the batch and eight bytes for each
 * perturbation go there, losses and counts come back.
 */
import { parameterCount } from '../network/parameters.js';
import type { NormalPrograms } from '../runtime/pool/normal-programs.js';
import type { Pool, PoolVectors } from '../runtime/pool/pool.js';
import type { KeptVector, PopulationResult } from '../runtime/pool/task.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import { batchValues, pairValues } from './batch-feeds.js';
import {
  type BatchObjective,
  checkPerturbations,
  type GradientPerturbations,
  type Perturbations,
  type SigmaStep,
  type SigmaWeights,
} from './batch-objective.js';
import { type EvaluatedBatch, gradientPlan } from './cpu.js';
import {
  type CallLimits,
  cut,
  cutWeights,
  evaluatesPopulations,
  gradientKind,
  inCalls,
  type MemberResult,
  membersOf,
  membersOfCalls,
  type PopulationKind,
} from './population.js';
import { formOf, sigmaFeeds } from './sigma.js';
import { meanValues } from './sums.js';
import {
  collectPrograms,
  scoringPrograms,
  sigmaProgram,
  sizesProgram,
  splitProgram,
} from './vector-programs.js';

/**
 * Vectors of the length of θ that a training step has on the device: θ, an update rule's two, σ, their
 * gradients, what they become, and sums.
 */
const VECTORS = 12;

export class ResidentObjective implements BatchObjective {
  private readonly coordinates: number;

  /** @throws TypeError if the objective needs the host (`evaluatesPopulations`) */
  constructor(
    private readonly pool: Pool,
    private readonly vectors: PoolVectors,
    private readonly on: EvaluatedBatch,
    /** Limits of calls; those of the device's memory unless given. */
    private readonly limits?: CallLimits,
  ) {
    if (!evaluatesPopulations(on.objective))
      throw new TypeError('resident objective: expected one without a solver and in float32');
    this.coordinates = parameterCount(on.layout);
  }

  async gradient(theta: KeptVector) {
    const { objective, layout, feeds } = this.on;
    const plan = gradientPlan(objective);
    const into = this.vectors.reserve(this.coordinates);
    const collect = { into, ...collectPrograms(objective, layout, 1), weights: [Float32Array.of(1)] };
    const prepare = splitProgram(objective, layout);
    const parameters = { θ: theta };
    const [result] = await this.pool.population({ plan, feeds, parameters, prepare, calls: [[]], collect });
    const { outputs } = result as PopulationResult;
    return { ...meanValues([this.valuesOf({ outputs })]), gradient: into };
  }

  async meanGradient(theta: KeptVector, perturbations: GradientPerturbations) {
    checkPerturbations(perturbations);
    gradientPlan(this.on.objective);
    const into = this.vectors.reserve(this.coordinates);
    const { members } = await this.evaluate(gradientKind(perturbations), theta, perturbations, into);
    const all = [...members.plus, ...members.minus];
    return { ...meanValues(all.map(this.valuesOf)), gradient: into };
  }

  async rootMeanSquares(theta: KeptVector, ranges: readonly CoordinateRange[]) {
    const plan = sizesProgram(this.on.objective, this.coordinates, ranges);
    const { outputs } = await this.vectors.compute({ plan, feeds: { θ: theta } }, {});
    return Float64Array.from(outputs.sizes as Float32Array);
  }

  async pairs(theta: KeptVector, perturbations: Perturbations) {
    const { members, programs } = await this.evaluate('pairs', theta, perturbations);
    const { plus, minus } = members;
    return {
      ...pairValues(this.on.objective, plus.map(this.valuesOf), minus.map(this.valuesOf)),
      scores: (first: Float64Array, second?: SigmaWeights) =>
        this.scores(perturbations, programs, first, second),
    };
  }

  async stepSigma(sigma: KeptVector, relativeGradient: KeptVector, step: SigmaStep): Promise<KeptVector> {
    const { learningRate, maxChange, min, max } = step;
    const numbers = Object.entries({ learningRate, maxChange, min, max }).map(([name, value]) => [
      name,
      Float32Array.of(value),
    ]);
    const feeds = { σ: sigma, 'relative gradient': relativeGradient, ...Object.fromEntries(numbers) };
    const plan = sigmaProgram(this.on.objective, this.coordinates);
    const { kept } = await this.vectors.compute({ plan, feeds }, { 'next σ': this.coordinates });
    await this.vectors.drop([sigma, relativeGradient]);
    return kept['next σ'] as KeptVector;
  }

  private readonly valuesOf = ({ outputs }: MemberResult) =>
    batchValues(this.on.objective, outputs, this.on.images);

  private async callLimits(): Promise<CallLimits> {
    if (this.limits !== undefined) return this.limits;
    const budget = await this.pool.memory();
    return { ...budget, memory: Math.max(0, budget.memory - 4 * VECTORS * this.coordinates) };
  }

  /** Members of all keys; the mean of their gradients becomes the vector `into`. */
  private async evaluate(
    kind: PopulationKind,
    theta: KeptVector,
    perturbations: Perturbations,
    into?: KeptVector,
  ) {
    const { objective, layout, feeds } = this.on;
    const { keys, sigma } = perturbations;
    const parameters = { θ: theta, ...sigmaFeeds(sigma) };
    const weights = new Float64Array(keys.length).fill(1 / membersOf(kind, keys.length));
    // Those of θ − σ∘z come after those of θ + σ∘z.
    const ofMembers = (ofKeys: Float32Array) =>
      kind === 'gradients' ? ofKeys : Float32Array.from([...ofKeys, ...ofKeys]);
    const wanted = { objective, kind, perturbations, limits: await this.callLimits() };
    const { calls, result } = await inCalls(wanted, ({ plan, programs }) => {
      const collect = into && {
        into,
        ...collectPrograms(objective, layout, membersOf(kind, programs.keys)),
        weights: cutWeights(weights, programs.keys).map(ofMembers),
      };
      return this.pool.population({
        plan,
        feeds,
        parameters,
        programs,
        calls: cut(keys, programs.keys),
        collect,
      });
    });
    const { programs } = calls;
    return { members: membersOfCalls(result, layout, keys.length, programs.keys), programs };
  }

  private async scores(
    { keys, sigma }: Perturbations,
    programs: NormalPrograms,
    first: Float64Array,
    second?: SigmaWeights,
  ) {
    const form = formOf(sigma);
    const scored = scoringPrograms(programs, {
      form,
      second: second && (second.groups ?? 'each'),
      keepsSecond: form === 'scaled',
    });
    const keep = Object.fromEntries(
      scored.keeps.map((name) => [name, this.vectors.reserve(this.coordinates)]),
    );
    const sums = await this.vectors.score({
      programs,
      scores: scored,
      calls: cut(keys, programs.keys),
      first: cutWeights(first, programs.keys),
      second: second && cutWeights(second.weights, programs.keys),
      sigma: sigmaFeeds(sigma),
      keep,
    });
    return { theta: keep.first as KeptVector, sigma: keep.second ?? sums };
  }
}
