/**
 * Plans: what a worker runs to get values, and gradients, of a computation made of several programs.
 *
 * Most objectives are one graph. A tight relaxation is not: which neurons need back-substitution is known
 * only after cheaper bounds are computed, and doing all at once would need gigabytes. So a computation is a
 * list of stages over named arrays:
 *
 * - `whole`: a graph, its inputs found by name among what the caller feeds and what earlier stages made;
 * - `rows`: bounds of the neurons that earlier bounds leave unstable, a graph over a fixed number of (neuron,
 *   image) rows run as often as there are rows; what it does not compute keeps the earlier bounds;
 * - `iterate`: a graph run a fixed number of times, what it makes fed back to it: the steps of an attack, or
 *   of any bound that is optimised. The point it ends at is a constant to the derivative of later stages;
 * - `row-kernel`: the same bounds as a rows stage, by native code where it was built; the plan has both;
 * - `host`: arrays given to a function of this process instead of ONNX Runtime, such as a solver of linear
 *   programs. It has no derivative, and a plan that would need one is refused.
 *
 * A plan can be made for a population: one run computes the same for many sets of parameters. Then every
 * array that depends on them has a leading axis of members, results and gradients too, and a rows stage runs
 * the unstable neurons of all members side by side.
 *
 * Gradients run the stages backwards with the vector–Jacobian graph of each; only boundaries between stages
 * are stored.
 */
import { type EncodedProgram, encodeProgram } from '../../graph/encode.js';
import { gradient, vectorJacobian } from '../../graph/gradient.js';
import type { Lifting } from '../../graph/lift.js';
import { accumulate } from '../../graph/operators/indexing.js';
import { input, inputName, isInput } from '../../graph/operators/leaves.js';
import { substitute } from '../../graph/substitute.js';
import {
  type FloatType,
  isFloat,
  type Shape,
  sizeOf,
  type Tensor,
  topologicalOrder,
} from '../../graph/tensor.js';
import { type HostStage, type HostStep, hostStep, noDerivative, noPopulation } from './host-stage.js';
import { memberAxis } from './member-axis.js';
import { kernelSteps, type Path, type RowKernelStage, type RowKernelStep } from './row-kernel-stage.js';

export interface WholeStage {
  readonly kind: 'whole';
  readonly path?: Path;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

export interface RowsStage {
  readonly kind: 'rows';
  readonly path?: Path;
  /** Bounds [features, batch] that decide which neurons are unstable (lower < 0 < upper), by name. */
  readonly cheap: { readonly lower: string; readonly upper: string };
  /** Names of the bounds after this stage. */
  readonly refined: { readonly lower: string; readonly upper: string };
  readonly shape: readonly [features: number, batch: number];
  /**
   * A neuron f of image b is given to the graph as channel ⌊f / places⌋, place (f mod places) · batch + b and
   * position f · batch + b.
   */
  readonly places: number;
  readonly dtype: FloatType;
  /** Row counts of the programs to choose from, ascending. */
  readonly capacities: readonly number[];
  /** The graph over as many rows as the indices, int32 [rows], have; bounds [rows]. */
  build(row: RowIndices): RowBounds;
  /** Every neuron gets a row, also those that the cheap bounds prove stable. */
  readonly all?: boolean;
}

export interface RowBounds {
  readonly lower: Tensor;
  readonly upper: Tensor;
  /**
   * Values [rows, …] that are dear to compute and that the derivative needs again: kept from the forward run
   * while they fit.
   */
  readonly residuals?: readonly Tensor[];
}

/** Which neuron of which image each row bounds. */
export interface RowIndices {
  readonly channel: Tensor;
  readonly place: Tensor;
  readonly position: Tensor;
}

/**
 * s ← next(s, a_k) for k = 0 … count − 1: projected gradient steps, say x ← Π(x + a_k · sign ∂loss/∂x) with
 * the derivative as part of the graph. Nothing is differentiated through the loop. A maximiser needs none of
 * it (Danskin's theorem); where the end point shall carry a derivative, a later stage says which.
 */
export interface IterateStage {
  readonly kind: 'iterate';
  readonly count: number;
  /**
   * Each array that changes: its name, under which the end value is found afterwards, and the array, by name,
   * that it begins as.
   */
  readonly state: Readonly<Record<string, string>>;
  /** Next values of exactly these arrays; the graph reads their present ones as inputs of the same names. */
  readonly next: Readonly<Record<string, Tensor>>;
  /** Scalar inputs of the graph that differ from step to step, `count` values each. */
  readonly schedule?: Readonly<Record<string, readonly number[]>>;
  /** An array of the state: the loop ends early once all its values are positive. */
  readonly until?: string;
  /**
   * An array of one number among what the caller feeds, if it does: the loop ends early after this time of
   * `Date.now()`, once it has run once.
   */
  readonly deadline?: string;
}

export type Stage = WholeStage | RowsStage | RowKernelStage | IterateStage | HostStage;

export interface RunStep {
  readonly kind: 'run';
  readonly path?: Path;
  readonly program: number;
  /** Outputs that are added to an array instead of replacing it. */
  readonly accumulate: readonly (readonly [output: string, into: string])[];
}

export interface RowsStep {
  readonly kind: 'rows' | 'rows-gradient';
  readonly path?: Path;
  readonly programs: readonly { readonly rows: number; readonly program: number }[];
  readonly rows: RowsData;
}

export interface IterateStep extends Omit<IterateStage, 'next'> {
  readonly program: number;
  readonly members?: number;
  /**
   * For a device that keeps the state: a program that gives every member its own of arrays that they share at
   * first.
   */
  readonly begin?: number;
}

export type Step = RunStep | RowsStep | RowKernelStep | IterateStep | HostStep;

/** The serialisable part of a rows stage. */
export interface RowsData extends Omit<RowsStage, 'kind' | 'path' | 'build' | 'capacities'> {
  /** Where cotangents of the cheap bounds go, if anything upstream wants them. */
  readonly passThrough: boolean;
  /**
   * Members of a population: bounds are [members, features, batch], and a program has rows of every member.
   */
  readonly members?: number;
}

export interface Plan {
  readonly id: string;
  readonly programs: readonly EncodedProgram[];
  readonly steps: readonly Step[];
  /** Names that the last stage gives back. */
  readonly results: readonly string[];
  /**
   * The arrays whose gradient is given back, in order, with the axis of members if there is one; empty for
   * values only.
   */
  readonly wrt: readonly { readonly name: string; readonly shape: Shape; readonly dtype: FloatType }[];
}

/** Gradients travel under this name. */
export const gradientName = (name: string): string => `∂${name}`;

/**
 * What a rows stage's backward program adds its gradient to comes in under this name, and leaves in the same
 * array.
 */
export const sumName = (name: string): string => `Σ${name}`;

/** Values kept from a rows stage's forward run for its backward run. */
const RESIDUAL = 'residual:';
export const residualName = (index: number): string => `${RESIDUAL}${index}`;
export const isResidual = (name: string): boolean => name.startsWith(RESIDUAL);

/**
 * What an iterated stage's program calls the next value of an array: an output may not have the name of an
 * input.
 */
export const nextName = (name: string): string => `→${name}`;

/** Floats that the residuals of one stage may take, every neuron having a row. */
const RESIDUAL_FLOATS = 1 << 25;

function fits(
  { shape: [features, batch] }: RowsStage,
  built: (RowBounds & { rows: number }) | undefined,
  members: number,
): boolean {
  const perRow =
    (built?.residuals ?? []).reduce((sum, { shape }) => sum + sizeOf(shape), 0) / (built?.rows ?? 1);
  return perRow * features * batch * members <= RESIDUAL_FLOATS;
}

const ROW_INDICES = ['channel', 'place', 'position'] as const;

/**
 * Names that have an axis of members in every plan of a population: rows are chosen by member, and gradients
 * are a member's own.
 */
const ofEachMember = (name: string): boolean =>
  isResidual(name) ||
  name.startsWith(gradientName('')) ||
  name.startsWith(sumName('')) ||
  ROW_INDICES.some((index) => index === name);

let nextPlan = 0;

/** The same program in shared memory: sending a plan to a worker copies no bytes. */
function shared(program: EncodedProgram): EncodedProgram {
  const bytes = new Uint8Array(new SharedArrayBuffer(program.bytes.length));
  bytes.set(program.bytes);
  return { ...program, bytes };
}

function checkLoop({ count, state, next, schedule = {} }: IterateStage): void {
  const names = Object.keys(state);
  const made = Object.keys(next);
  if (made.length !== names.length || names.some((name) => next[name] === undefined))
    throw new Error(
      `plan: expected the next value of each of ${names.join(', ')}, got ${made.join(', ') || 'none'}`,
    );
  const wrong = Object.entries(schedule).find(([, values]) => values.length !== count);
  if (wrong !== undefined)
    throw new Error(
      `plan: expected ${count} values of ${wrong[0]}, one for each repetition, got ${wrong[1].length}`,
    );
}

const stageInputs = (outputs: readonly Tensor[]): Tensor[] => topologicalOrder(outputs).filter(isInput);

/**
 * Whether a plan of these stages can be made for a population: functions of this process know one member at a
 * time.
 */
export const hasPopulations = (stages: readonly Stage[]): boolean =>
  stages.every(({ kind }) => kind !== 'host');

/**
 * Compiles stages; the last one is whole and its outputs are the results. With `wrt`, its output `loss` is
 * differentiated. With `population`, for all its members at once: inputs that differ between them are
 * replaced as it says. What replaces them is computed in the program that needs it if there is one alone,
 * else in a program of its own before.
 */
export function createPlan(
  stages: readonly Stage[],
  wrt: readonly string[] = [],
  population?: Lifting,
): Plan {
  const programs: EncodedProgram[] = [];
  const members = population?.members;
  const ahead =
    stages.length > 1 && population !== undefined && [...population.inputs.values()].some((x) => !isInput(x));
  const axis = memberAxis(
    ahead
      ? {
          ...population,
          inputs: new Map([...population.inputs].map(([name, x]) => [name, input(name, x.shape, x.dtype)])),
        }
      : population,
    ofEachMember,
  );
  const addProgram = (outputs: Record<string, Tensor>, every?: 'all'): number =>
    programs.push(shared(axis.encode(outputs, every))) - 1;
  const last = stages.at(-1);
  if (last?.kind !== 'whole') throw new Error('plan: expected the last stage to be a whole graph');

  // Names that depend on what is differentiated.
  const active = new Set(wrt);
  const known = new Map<string, Tensor>();
  const forward: Step[] = ahead
    ? [
        {
          kind: 'run',
          program: programs.push(shared(encodeProgram(Object.fromEntries(population.inputs)))) - 1,
          accumulate: [],
        },
      ]
    : [];
  const backward: Step[] = [];
  const compile = (stage: Stage): void => {
    if (stage.kind === 'whole') {
      const inputs = stageInputs(Object.values(stage.outputs));
      for (const x of inputs) known.set(inputName(x), x);
      const variables = inputs.filter((x) => active.has(inputName(x)) && isFloat(x.dtype));
      const pull = variables.map((x) => [gradientName(inputName(x)), gradientName(inputName(x))] as const);
      const named = (grads: readonly Tensor[]) =>
        Object.fromEntries(grads.map((g, i) => [(pull[i] as readonly [string, string])[0], g]));
      if (stage === last) {
        const loss = stage.outputs.loss;
        if (wrt.length > 0 && loss === undefined)
          throw new Error('plan: expected an output named loss to differentiate');
        const grads = wrt.length > 0 ? named(gradient(loss as Tensor, variables)) : {};
        forward.push({
          kind: 'run',
          program: addProgram({ ...stage.outputs, ...grads }, 'all'),
          accumulate: wrt.length > 0 ? pull : [],
        });
        return;
      }
      const program = addProgram({ ...stage.outputs });
      axis.mark((programs[program]?.outputs ?? []).filter(({ lifted }) => lifted).map(({ name }) => name));
      forward.push({ kind: 'run', program, accumulate: [] });
      if (variables.length === 0) return;
      const outputs = Object.entries(stage.outputs).filter(
        ([, y]) => isFloat(y.dtype) && stageInputs([y]).some((x) => active.has(inputName(x))),
      );
      for (const [name] of outputs) active.add(name);
      const cotangents = outputs.map(([name, y]) => input(gradientName(name), y.shape, y.dtype));
      const grads = vectorJacobian(
        outputs.map(([, y]) => y),
        cotangents,
        variables,
      );
      backward.unshift({ kind: 'run', program: addProgram(named(grads)), accumulate: pull });
      return;
    }
    if (stage.kind === 'iterate') {
      checkLoop(stage);
      const { next, ...data } = stage;
      for (const x of stageInputs(Object.values(next)))
        if (!known.has(inputName(x))) known.set(inputName(x), x);
      const begin = axis.repeated(stage.state, next);
      axis.mark(Object.keys(data.state));
      forward.push({
        ...data,
        members,
        program: addProgram(
          Object.fromEntries(Object.entries(next).map(([name, y]) => [nextName(name), y])),
          'all',
        ),
        begin: begin && programs.push(shared(encodeProgram(begin))) - 1,
      });
      return;
    }
    if (stage.kind === 'host') {
      if (population !== undefined) throw noPopulation(stage);
      const inputs = stageInputs(Object.values(stage.inputs));
      for (const x of inputs) known.set(inputName(x), x);
      const variable = inputs.find((x) => active.has(inputName(x)) && isFloat(x.dtype));
      if (variable !== undefined) throw noDerivative(stage, inputName(variable));
      forward.push(hostStep(stage, addProgram));
      return;
    }
    if (stage.kind === 'row-kernel') {
      const steps = kernelSteps(stage, active);
      forward.push(steps.forward);
      if (steps.backward) backward.unshift(steps.backward);
      return;
    }
    const { build, capacities, kind: _, path: __, ...data } = stage;
    const built = capacities.map((rows) => {
      const [channel, place, position] = ROW_INDICES.map((name) => input(name, [rows], 'int32')) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      return { rows, ...build({ channel, place, position }) };
    });
    for (const x of built.flatMap(({ lower, upper }) => stageInputs([lower, upper])))
      known.set(inputName(x), x);
    const isActive = built.some(({ lower, upper }) =>
      stageInputs([lower, upper]).some((x) => active.has(inputName(x)) && isFloat(x.dtype)),
    );
    const passThrough = active.has(stage.cheap.lower) || active.has(stage.cheap.upper);
    const rowsData: RowsData = { ...data, passThrough, members };
    const kept = isActive && fits(stage, built[0], members ?? 1);
    axis.mark([stage.refined.lower, stage.refined.upper]);
    const named = ({ residuals = [] }: RowBounds) =>
      Object.fromEntries(kept ? residuals.map((value, i) => [residualName(i), value]) : []);
    const programsOf = built.map(({ rows, ...bounds }) => ({
      rows,
      program: addProgram({ lower: bounds.lower, upper: bounds.upper, ...named(bounds) }, 'all'),
    }));
    forward.push({ kind: 'rows', programs: programsOf, rows: rowsData });
    if (!isActive && !passThrough) return;
    active.add(stage.refined.lower).add(stage.refined.upper);
    // Rows that depend on nothing differentiated have no programs to run backwards: only their neurons'
    // cotangents end here.
    const reverse = (isActive ? built : []).map(({ rows, lower, upper, residuals = [] }) => {
      const variables = stageInputs([lower, upper]).filter(
        (x) => active.has(inputName(x)) && isFloat(x.dtype),
      );
      const cotangents = [
        input(gradientName('lower'), [rows], lower.dtype),
        input(gradientName('upper'), [rows], upper.dtype),
      ];
      const grads = vectorJacobian([lower, upper], cotangents, variables);
      const sums = variables.map((x, i) =>
        accumulate(input(sumName(inputName(x)), x.shape, x.dtype), grads[i] as Tensor),
      );
      const remembered = new Map(
        kept ? residuals.map((value, i) => [value, input(residualName(i), value.shape, value.dtype)]) : [],
      );
      const results = substitute(sums, remembered);
      return {
        rows,
        program: addProgram(
          Object.fromEntries(variables.map((x, i) => [gradientName(inputName(x)), results[i] as Tensor])),
        ),
      };
    });
    backward.unshift({ kind: 'rows-gradient', programs: reverse, rows: rowsData });
  };
  // The kernel knows one member at a time: a population's plan has the programs' way alone.
  for (const stage of stages) {
    const path = 'path' in stage ? stage.path : undefined;
    if (population !== undefined && path === 'kernel') continue;
    const before = [forward.length, backward.length] as const;
    compile(stage);
    if (path === undefined || population !== undefined) continue;
    for (let i = before[0]; i < forward.length; i++) forward[i] = { ...(forward[i] as Step), path } as Step;
    for (let i = 0; i < backward.length - before[1]; i++)
      backward[i] = { ...(backward[i] as Step), path } as Step;
  }

  const results = Object.keys(last.outputs);
  const variables = wrt.map((name) => {
    const variable = known.get(name);
    if (variable === undefined) throw new Error(`plan: no stage has an input named ${name}`);
    return {
      name,
      shape: members === undefined ? variable.shape : [members, ...variable.shape],
      dtype: variable.dtype as FloatType,
    };
  });
  return {
    id: `plan-${nextPlan++}`,
    programs,
    steps: wrt.length > 0 ? [...forward, ...backward] : forward,
    results,
    wrt: variables,
  };
}

/** A plan of one program without derivatives. */
export const programPlan = (outputs: Readonly<Record<string, Tensor>>): Plan =>
  createPlan([{ kind: 'whole', outputs }]);
