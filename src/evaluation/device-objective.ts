/**
 * An objective on one batch whose θ and gradients stay on the device: what goes there for a step is the batch
 * and eight bytes for each perturbation, what comes back are losses and counts. As `pooledObjective` in all
 * else.
 */

import { remembered } from '../graph/remembered.js';
import { parameterCount } from '../network/parameters.js';
import type { Objective, ObjectiveScalars } from '../objective/objective.js';
import { MOST_KEYS, type NormalPrograms, normalPrograms } from '../runtime/pool/normal-programs.js';
import type { Pool, PoolVectors } from '../runtime/pool/pool.js';
import type { KeptVector, ParameterSlice, PopulationResult } from '../runtime/pool/task.js';
import type { Key } from '../runtime/random/keys.js';
import type { BatchObjective, Perturbation as PerturbationOf, SigmaWeights } from '../smoothing/estimator.js';
import { type BatchValues, batchValues, microBatches, type PooledBatch, pairValues } from './batch-feeds.js';
import { gradientPlan } from './host-objective.js';
import {
  type CallLimits,
  type Calls,
  callSize,
  cut,
  cutWeights,
  inCalls,
  type MemberResult,
  membersOfCalls,
  type PopulationKind,
  together,
} from './population.js';
import { formOf, sigmaFeeds } from './sigma.js';
import { meanValues } from './sums.js';
import {
  additionProgram,
  collectPrograms,
  scoringPrograms,
  sigmaProgram,
  splitProgram,
} from './vector-programs.js';

type Perturbation = PerturbationOf<KeptVector>;

/**
 * Vectors of the length of θ that a training step has on the device: θ, an update rule's two, σ, their
 * gradients, what they become, and sums.
 */
const VECTORS = 12;

/**
 * Whether the objective can be evaluated at a θ that stays on a device: no solver has a part in it, and
 * float32 is enough.
 */
export const staysOnDevice = ({ population, dtype }: Objective): boolean =>
  population !== undefined && dtype === 'float32';

/** Perturbations one after the other, those of one σ together; `undefined` is θ itself. */
function grouped(
  perturbations: readonly (Perturbation | undefined)[],
): (readonly (Perturbation | undefined)[])[] {
  const groups: (Perturbation | undefined)[][] = [];
  for (const perturbation of perturbations) {
    const group = groups.at(-1);
    if (group !== undefined && perturbation !== undefined && group[0]?.sigma === perturbation.sigma)
      group.push(perturbation);
    else groups.push([perturbation]);
  }
  return groups;
}

const alone = remembered<Objective, NormalPrograms>();

/** Programs for normals of so many keys that no call has evaluated. */
const normalsAlone = (objective: Objective, keys: number, coordinates: number): NormalPrograms =>
  alone(objective, `${keys} ${coordinates}`, () =>
    normalPrograms(callSize(keys, MOST_KEYS), coordinates, 1, 0),
  );

/** @throws TypeError if the objective needs the host (`staysOnDevice`) */
export function deviceObjective(
  pool: Pool,
  vectors: PoolVectors,
  objective: Objective,
  layout: readonly ParameterSlice[],
  batch: PooledBatch,
  scalars: ObjectiveScalars,
  attackKey?: Key,
  given?: CallLimits,
): BatchObjective<KeptVector> {
  if (!staysOnDevice(objective))
    throw new TypeError(
      'device objective: expected one without a solver and in float32; use pooledObjective',
    );
  const feeds = microBatches(objective, batch, scalars, attackKey);
  const count = batch.labels.length;
  const coordinates = parameterCount(layout);
  const valuesOf = ({ outputs }: MemberResult): BatchValues => batchValues(objective, outputs, count);
  // The scores of a step are those of the perturbations that were evaluated last: cut alike, as the device
  // has their normals still.
  let last: Calls | undefined;

  const limits = async (): Promise<CallLimits> => {
    if (given !== undefined) return given;
    const budget = await pool.memory();
    return { ...budget, memory: Math.max(0, budget.memory - 4 * VECTORS * coordinates) };
  };

  /**
   * Members at perturbations of one σ; their gradients, each weighed by `weight`, become the vector `into`.
   */
  async function evaluated(
    kind: PopulationKind,
    theta: KeptVector,
    group: readonly (Perturbation | undefined)[],
    weight = 1,
    into?: KeptVector,
  ) {
    const each = together(group);
    if (each === undefined) throw new TypeError('device objective: expected perturbations of one σ');
    const { keys, sigma } = each;
    const parameters = { θ: theta, ...sigmaFeeds(sigma) };
    const made = await inCalls({ objective, kind, each, limits: await limits() }, ({ plan, programs }) => {
      const collect = into && {
        into,
        ...collectPrograms(objective, layout, programs.keys),
        weights: cutWeights(new Float64Array(keys.length).fill(weight), programs.keys),
      };
      return pool.population({ plan, feeds, parameters, programs, calls: cut(keys, programs.keys), collect });
    });
    const { calls, result } = made as { calls: Calls; result: PopulationResult[] };
    last = calls;
    return membersOfCalls(result, layout, keys.length, calls.programs.keys);
  }

  /** θ itself. */
  async function atPoint(theta: KeptVector, weight: number, into: KeptVector): Promise<MemberResult[]> {
    const collect = { into, ...collectPrograms(objective, layout, 1), weights: [Float32Array.of(weight)] };
    const prepare = splitProgram(objective, layout);
    const [result] = await pool.population({
      plan: gradientPlan(objective),
      feeds,
      parameters: { θ: theta },
      prepare,
      calls: [[]],
      collect,
    });
    return [{ outputs: (result as PopulationResult).outputs }];
  }

  return {
    async meanGradient(theta, perturbations) {
      gradientPlan(objective);
      const groups = grouped(perturbations);
      if (groups.length === 0)
        throw new RangeError('mean of gradients: expected one perturbation at least, got none');
      const weight = 1 / perturbations.length;
      const values: BatchValues[] = [];
      const terms: KeptVector[] = [];
      for (const group of groups) {
        const into = vectors.reserve(coordinates);
        const members =
          group[0] === undefined
            ? await atPoint(theta, weight, into)
            : (await evaluated('gradients', theta, group, weight, into)).plus;
        values.push(...members.map(valuesOf));
        terms.push(into);
      }
      if (terms.length === 1) return { ...meanValues(values), gradient: terms[0] as KeptVector };
      const named = Object.fromEntries(terms.map((term, i) => [`term ${i}`, term]));
      const { kept } = await vectors.compute(
        { plan: additionProgram(objective, terms.length, coordinates), feeds: named },
        { sum: coordinates },
      );
      await vectors.drop(terms);
      return { ...meanValues(values), gradient: kept.sum as KeptVector };
    },
    async pairs(theta, perturbations) {
      const [plus, minus]: [BatchValues[], BatchValues[]] = [[], []];
      for (const group of grouped(perturbations)) {
        const made = await evaluated('pairs', theta, group);
        plus.push(...made.plus.map(valuesOf));
        minus.push(...made.minus.map(valuesOf));
      }
      return pairValues(objective, plus, minus);
    },
    async weightedScores(keys, sigma, first, second?: SigmaWeights) {
      const programs = last?.programs ?? normalsAlone(objective, keys.length, coordinates);
      const form = formOf(sigma);
      const scores = scoringPrograms(programs, {
        form,
        second: second && (second.groups ?? 'each'),
        keepsSecond: form === 'scaled',
      });
      const keep = Object.fromEntries(scores.keeps.map((name) => [name, vectors.reserve(coordinates)]));
      const weights = {
        first: cutWeights(first, programs.keys),
        second: second && cutWeights(second.weights, programs.keys),
      };
      const made = await vectors.score({
        programs,
        scores,
        calls: cut(keys, programs.keys),
        ...weights,
        sigma: sigmaFeeds(sigma),
        keep,
      });
      return { theta: keep.first as KeptVector, sigma: keep.second ?? made };
    },
    async stepSigma(sigma, relativeGradient, { learningRate, maxChange, min, max }) {
      const numbers = Object.entries({ learningRate, maxChange, min, max }).map(([name, value]) => [
        name,
        Float32Array.of(value),
      ]);
      const feeds = { σ: sigma, 'relative gradient': relativeGradient, ...Object.fromEntries(numbers) };
      const { kept } = await vectors.compute(
        { plan: sigmaProgram(objective, coordinates), feeds },
        { 'next σ': coordinates },
      );
      await vectors.drop([sigma, relativeGradient]);
      return kept['next σ'] as KeptVector;
    },
  };
}
