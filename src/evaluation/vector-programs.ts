/**
 * Programs that make one vector of what evaluations on a device leave there, and parameters of one vector.
 * Each is compiled once.
 */
import {
  add,
  concat,
  gemm,
  input,
  maximum,
  minimum,
  mul,
  neg,
  reshape,
  slice,
  sqrt,
  square,
  sub,
  sum,
} from '../graph/index.js';
import { remembered } from '../graph/remembered.js';
import { parameterInputs } from '../network/network.js';
import { parameterCount } from '../network/parameters.js';
import type { Objective } from '../objective/objective.js';
import { programPlan } from '../runtime/plan/compile.js';
import { gradientName, type Plan } from '../runtime/plan/plan.js';
import {
  type NormalPrograms,
  type ScoreOptions,
  type ScorePrograms,
  scorePrograms,
} from '../runtime/pool/normal-programs.js';
import type { ParameterSlice } from '../runtime/pool/task.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import type { SigmaStep } from './batch-objective.js';
import { type SigmaForm, sigmaTensor } from './sigma.js';

const splits = remembered<Objective, Plan>();

/** Every parameter array of the vector `θ`. */
export const splitProgram = (objective: Objective, layout: readonly ParameterSlice[]): Plan =>
  splits(objective, '', () => {
    const shapes = parameterInputs(objective.network);
    const theta = input('θ', [parameterCount(layout)]);
    const part = ({ name, offset, size: n }: ParameterSlice) =>
      [name, reshape(slice(theta, 0, offset, offset + n), shapes[name]?.shape ?? [n])] as const;
    return programPlan(Object.fromEntries(layout.map(part)));
  });

const collections = remembered<Objective, { readonly begin: Plan; readonly more: Plan }>();

/** Σ_i weights[i]·∂L/∂θ of so many members as one vector, `begin`, and added to `sum so far`, `more`. */
export function collectPrograms(objective: Objective, layout: readonly ParameterSlice[], members: number) {
  return collections(objective, String(members), () => {
    const weights = input('weights', [1, members]);
    const sums = [...layout]
      .sort((a, b) => a.offset - b.offset)
      .map(({ name, size }) => gemm(weights, input(gradientName(name), [members, size])));
    const all = concat(sums, 1);
    const sum = reshape(all, [all.shape[1] as number]);
    return {
      begin: programPlan({ sum }),
      more: programPlan({ sum: add(sum, input('sum so far', sum.shape)) }),
    };
  });
}

const scorings = remembered<NormalPrograms, ScorePrograms>();

export interface ScoringOptions extends Omit<ScoreOptions, 'sigma'> {
  readonly form: SigmaForm;
}

/** Programs of the scores at the points whose normals these programs make. */
export const scoringPrograms = (programs: NormalPrograms, options: ScoringOptions): ScorePrograms =>
  scorings(programs, JSON.stringify(options), () => {
    const { form, ...more } = options;
    return scorePrograms(programs.keys, programs.size, { sigma: sigmaTensor(form, programs.size), ...more });
  });

const sizePrograms = remembered<Objective, Plan>();

/** `sizes`, √(mean θ_j²) over each range of coordinates, of the vector `θ`. */
export const sizesProgram = (
  objective: Objective,
  length: number,
  ranges: readonly CoordinateRange[],
): Plan =>
  sizePrograms(objective, JSON.stringify(ranges), () => {
    const theta = input('θ', [length]);
    const sizes = ranges.map(({ offset, size }) =>
      reshape(sqrt(mul(sum(square(slice(theta, 0, offset, offset + size)), [0]), 1 / size)), [1]),
    );
    return programPlan({ sizes: concat(sizes, 0) });
  });

const sigmaSteps = remembered<Objective, Plan>();

/**
 * The step that `stepSigma` takes of so many σ's, each of its own coordinate: `next σ` from `σ` and the
 * `relative gradient`.
 */
export const sigmaProgram = (objective: Objective, length: number): Plan =>
  sigmaSteps(objective, String(length), () => {
    const [sigma, gradient] = [input('σ', [length]), input('relative gradient', [length])];
    const number = (name: keyof SigmaStep) => input(name, [1]);
    const change = minimum(
      maximum(mul(gradient, number('learningRate')), neg(number('maxChange'))),
      number('maxChange'),
    );
    return programPlan({
      'next σ': minimum(maximum(mul(sigma, sub(1, change)), number('min')), number('max')),
    });
  });
