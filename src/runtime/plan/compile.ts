/**
 * Compiles stages to a plan. Gradients run the stages backwards with the vector–Jacobian graph of each; only
 * boundaries between stages are stored.
 */
import { type EncodedProgram, encodeProgram } from '../../graph/encode.js';
import type { Lifting } from '../../graph/lift.js';
import { input, inputName, isInput } from '../../graph/operators/leaves.js';
import { type FloatType, isFloat, type Tensor, topologicalOrder } from '../../graph/tensor.js';
import { type MemberAxis, memberAxis } from './member-axis.js';
import { inSharedBytes, newPlanId, wholeStep } from './single-program.js';
import { kindOf, type Stage } from './stages/index.js';
import type { Compiler } from './stages/kind.js';
import { type LossKernelStage, lossKernel } from './stages/loss-kernel.js';
import { ROW_INDICES } from './stages/rows/stage.js';
import { gradientName, type Plan, type PlanProgram, type Step, sumName, type Way } from './step.js';

export { programPlan } from './single-program.js';

/**
 * Names that have an axis of members in every plan of a population: rows are chosen by member, and gradients
 * are a member's own.
 */
const ofEachMember = (name: string): boolean =>
  name.startsWith(gradientName('')) ||
  name.startsWith(sumName('')) ||
  ROW_INDICES.some((index) => index === name);

/** The same population whose inputs are computed before its plan reads them. */
const computedBefore = (population: Lifting): Lifting => ({
  ...population,
  inputs: new Map([...population.inputs].map(([name, x]) => [name, input(name, x.shape, x.dtype)])),
});

class PlanCompiler implements Compiler {
  readonly #programs: PlanProgram[] = [];
  readonly #forward: Step[] = [];
  readonly #backward: Step[] = [];
  /** Names that depend on what is differentiated. */
  readonly #active: Set<string>;
  /** Inputs of all graphs. */
  readonly #inputs = new Map<string, Tensor>();
  readonly #wrt: readonly string[];
  #way: Way | undefined;
  readonly axis: MemberAxis;
  readonly members: number | undefined;

  constructor(wrt: readonly string[], population: Lifting | undefined, computesBefore: boolean) {
    this.#wrt = wrt;
    this.#active = new Set(wrt);
    this.members = population?.members;
    this.axis = memberAxis(
      population && computesBefore ? computedBefore(population) : population,
      ofEachMember,
    );
    if (population && computesBefore)
      this.forward(wholeStep(this.plainProgram(Object.fromEntries(population.inputs))));
  }

  get differentiates(): boolean {
    return this.#wrt.length > 0;
  }

  program(outputs: Readonly<Record<string, Tensor>>, every?: 'all'): number {
    return this.#programs.push(this.#onWay(inSharedBytes(this.axis.encode(outputs, every)))) - 1;
  }

  plainProgram(outputs: Readonly<Record<string, Tensor>>): number {
    return this.#programs.push(this.#onWay(inSharedBytes(encodeProgram(outputs)))) - 1;
  }

  encoded(program: number): EncodedProgram {
    return this.#programs[program] as EncodedProgram;
  }

  variablesOf(outputs: readonly Tensor[]): Tensor[] {
    const inputs = topologicalOrder(outputs).filter(isInput);
    for (const x of inputs) if (!this.#inputs.has(inputName(x))) this.#inputs.set(inputName(x), x);
    return inputs.filter((x) => this.isActive(inputName(x)) && isFloat(x.dtype));
  }

  isActive(name: string): boolean {
    return this.#active.has(name);
  }

  activate(names: readonly string[]): void {
    for (const name of names) this.#active.add(name);
  }

  way(way: Way, compile: () => void): void {
    const outer = this.#way;
    if (outer !== undefined && outer !== way) return;
    this.#way = way;
    compile();
    this.#way = outer;
  }

  forward(step: Step): void {
    this.#forward.push(this.#onWay(step));
  }

  backward(step: Step): void {
    this.#backward.unshift(this.#onWay(step));
  }

  #onWay<T extends Step | EncodedProgram>(one: T): T & { readonly way?: Way } {
    return this.#way === undefined ? one : { ...one, way: this.#way };
  }

  #gradient(name: string): Plan['wrt'][number] {
    const variable = this.#inputs.get(name);
    if (variable === undefined) throw new Error(`plan: no stage has an input named ${name}`);
    const shape = this.members === undefined ? variable.shape : [this.members, ...variable.shape];
    return { name, shape, dtype: variable.dtype as FloatType };
  }

  plan(results: readonly string[]): Plan {
    const steps = this.differentiates ? [...this.#forward, ...this.#backward] : this.#forward;
    const wrt = this.#wrt.map((name) => this.#gradient(name));
    return { id: newPlanId(), programs: this.#programs, steps, results, wrt };
  }
}

/** Names of the results that the last stage gives. @throws Error if it is no whole graph */
function resultsOf(stages: readonly Stage[]): string[] {
  const end = stages.at(-1);
  const of = end?.kind === 'margin-search' ? end.finish : end;
  const last = of?.kind === 'interval-kernel' ? of.programs : of;
  if (last?.kind !== 'whole') throw new Error('plan: expected the last stage to be a whole graph');
  return Object.keys(last.outputs);
}

function compileAll(stages: readonly Stage[], compiler: PlanCompiler): void {
  for (const [i, stage] of stages.entries()) kindOf(stage).compile(stage, compiler, i === stages.length - 1);
}

/**
 * Compiles stages; the last one is whole and its outputs are the results. With `wrt`, its output `loss` is
 * differentiated. With `population`, for all its members at once: inputs that differ between them are
 * replaced as it says. What replaces them is computed in the program that needs it if there is one alone,
 * else in a program of its own before.
 * @throws Error where a stage has no derivative or no population and one is asked for
 */
export function createPlan(
  stages: readonly Stage[],
  wrt: readonly string[] = [],
  population?: Lifting,
): Plan {
  const results = resultsOf(stages);
  const computesBefore =
    stages.length > 1 && population !== undefined && [...population.inputs.values()].some((x) => !isInput(x));
  const compiler = new PlanCompiler(wrt, population, computesBefore);
  compileAll(stages, compiler);
  return compiler.plan(results);
}

/** A plan without derivatives; with `kernel`, which gives the same results, the stages are the other way. */
export function createValuePlan(stages: readonly Stage[], kernel: LossKernelStage | undefined): Plan {
  if (kernel === undefined) return createPlan(stages);
  const compiler = new PlanCompiler([], undefined, false);
  compiler.way('kernel', () => lossKernel.compile(kernel, compiler, true));
  compiler.way('programs', () => compileAll(stages, compiler));
  return compiler.plan(resultsOf(stages));
}

/**
 * Whether a plan of these stages can be compiled for a population: functions of this process know one member
 * at a time.
 */
export const hasPopulations = (stages: readonly Stage[]): boolean =>
  stages.every((stage) => kindOf(stage).hasPopulations);
