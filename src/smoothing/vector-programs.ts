/** Programs that make one vector of what evaluations on a device leave there, and parameters of one vector. Each is compiled once. */
import { add, addAll, concat, gemm, input, maximum, minimum, mul, neg, reshape, slice, sub, type Tensor } from '../graph/index.js';
import { parameterInputs } from '../network/network.js';
import type { Objective } from '../objective/objective.js';
import { createPlan, gradientName, type Plan } from '../runtime/plan.js';
import type { ParameterSlice } from '../runtime/task.js';
import { type NormalPrograms, type ScoreOptions, type ScorePrograms, scorePrograms } from '../runtime/weighted-normals.js';
import { type SigmaForm, sigmaTensor } from './sigma.js';

/** What `make` makes of an object and a name, the first time that it is asked for. */
function remembered<Owner extends object, Made>(): (owner: Owner, name: string, make: () => Made) => Made {
  const known = new WeakMap<Owner, Map<string, Made>>();
  return (owner, name, make) => {
    const own = known.get(owner) ?? new Map<string, Made>();
    known.set(owner, own);
    const made = own.get(name) ?? make();
    own.set(name, made);
    return made;
  };
}

const planOf = (outputs: Record<string, Tensor>): Plan => createPlan([{ kind: 'whole', outputs }]);

const splits = remembered<Objective, Plan>();

/** Every parameter array of the vector `θ`. */
export function splitProgram(objective: Objective, layout: readonly ParameterSlice[]): Plan {
  const shapes = parameterInputs(objective.network);
  const size = layout.reduce((sum, part) => sum + part.size, 0);
  const theta = input('θ', [size]);
  const part = ({ name, offset, size: n }: ParameterSlice) => [name, reshape(slice(theta, 0, offset, offset + n), shapes[name]?.shape ?? [n])] as const;
  return splits(objective, '', () => planOf(Object.fromEntries(layout.map(part))));
}

const collections = remembered<Objective, { readonly begin: Plan; readonly more: Plan }>();

/** Σ_i weights[i]·∂L/∂θ of so many members as one vector, `begin`, and added to `sum so far`, `more`. */
export function collectPrograms(objective: Objective, layout: readonly ParameterSlice[], members: number) {
  return collections(objective, String(members), () => {
    const weights = input('weights', [1, members]);
    const sums = [...layout].sort((a, b) => a.offset - b.offset).map(({ name, size }) => gemm(weights, input(gradientName(name), [members, size])));
    const all = concat(sums, 1);
    const sum = reshape(all, [all.shape[1] as number]);
    return { begin: planOf({ sum }), more: planOf({ sum: add(sum, input('sum so far', sum.shape)) }) };
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

const sigmaSteps = new Map<number, Plan>();

/** The step that `stepSigma` takes of so many σ's, each of its own coordinate: `next σ` from `σ` and the `relative gradient`. */
export function sigmaProgram(length: number): Plan {
  const [sigma, gradient] = [input('σ', [length]), input('relative gradient', [length])];
  const [learningRate, maxChange, min, max] = ['learningRate', 'maxChange', 'min', 'max'].map((name) => input(name, [1])) as [Tensor, Tensor, Tensor, Tensor];
  const change = minimum(maximum(mul(gradient, learningRate), neg(maxChange)), maxChange);
  const plan = sigmaSteps.get(length) ?? planOf({ 'next σ': minimum(maximum(mul(sigma, sub(1, change)), min), max) });
  sigmaSteps.set(length, plan);
  return plan;
}

const additions = new Map<string, Plan>();

/** The sum of so many vectors of one length: `term 0`, `term 1`, … */
export function additionProgram(terms: number, length: number): Plan {
  const name = `${terms} ${length}`;
  const plan = additions.get(name) ?? planOf({ sum: addAll(Array.from({ length: terms }, (_, i) => input(`term ${i}`, [length]))) });
  additions.set(name, plan);
  return plan;
}
