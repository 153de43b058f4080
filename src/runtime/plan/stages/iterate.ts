/**
 * `iterate`: a graph run a fixed number of times, what it computes fed back to it: the steps of an attack, or
 * of any bound that is optimised. The point it ends at is a constant to the derivative of later stages.
 *
 * On the host, what the program computes is copied and fed to it again; on a device it is written by turns to
 * two arrays.
 */
import type { Tensor } from '../../../graph/tensor.js';
import { type HostData, hostArray, sizeOf } from '../../../graph/tensor.js';
import type { DeviceArray } from '../../device/array.js';
import type { DualSearch } from '../../kernels/margin-kernel.js';
import type { MarginRun } from '../layer-runs.js';
import { firstName } from '../member-axis.js';
import type { Floats, Run } from '../run.js';
import { nextName, type Plan, type Step } from '../step.js';
import type { Compiler, Residence, StageKind } from './kind.js';
import { ofMembers } from './rows/selection.js';
import { type WholeStage, whole } from './whole.js';

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
  /** Says that the graph climbs a loss, so that plans may take its slope from the interval kernel. */
  readonly ascent?: Ascent;
  /** Says that the loop searches for slopes of rows, so that plans may leave it to the margin kernel. */
  readonly search?: MarginSearch;
}

/**
 * Projected gradient ascent of every row's margin in its α, arrays of the state that `run` reads; with ‖g‖∞
 * over a ReLU's neurons, α ← Π_[0,1](α + step · g/‖g‖∞). The last repetition judges α alone.
 */
export interface MarginSearch {
  readonly run: MarginRun;
  /** Sizes of the steps, one for each repetition. */
  readonly steps: readonly number[];
  /** The array of the state that is the best of each α, by the name of α. */
  readonly best: Readonly<Record<string, string>>;
  /** Else β-CROWN's search. */
  readonly dual?: DualAscent;
}

/**
 * Adam on every row's margin in its p, α or β of lines that are `dual` (`kernels/margin-kernel`), until all
 * rows at hand exceed their thresholds. `best` names what the last p become.
 */
export interface DualAscent extends DualSearch {
  /** The array of thresholds, and the one that the best bounds become. */
  readonly thresholds: string;
  readonly bounds: string;
  /** The first p. */
  readonly before: Readonly<Record<string, Tensor>>;
  /** What the coefficients at the last p become, by the names of p; and those at the input. */
  readonly arrived: Readonly<Record<string, string>>;
  readonly atInput: string | undefined;
  /** What the stage after the loop gives, as functions of what the search leaves. */
  readonly results: Readonly<Record<string, Tensor>>;
}

/** next(point) as a function of a loss at the point and of the loss's derivative there. */
export interface Ascent {
  /** The input of the graph that is the point. */
  readonly point: Tensor;
  /** The loss, a number for each point. */
  readonly value: Tensor;
  next(value: Tensor, slope: Tensor): Readonly<Record<string, Tensor>>;
}

export interface IterateStep extends Omit<IterateStage, 'next' | 'ascent' | 'search'>, Step {
  readonly kind: 'iterate';
  readonly program: number;
  readonly members?: number;
  /**
   * For a device that holds the state: a program that gives every member its own of arrays that they share at
   * first.
   */
  readonly begin?: number;
}

function checkLoop({ count, state, next, schedule = {} }: IterateStage): void {
  const names = Object.keys(state);
  const updated = Object.keys(next);
  if (updated.length !== names.length || names.some((name) => next[name] === undefined))
    throw new Error(
      `plan: expected the next value of each of ${names.join(', ')}, got ${updated.join(', ') || 'none'}`,
    );
  const wrong = Object.entries(schedule).find(([, values]) => values.length !== count);
  if (wrong !== undefined)
    throw new Error(
      `plan: expected ${count} values of ${wrong[0]}, one for each repetition, got ${wrong[1].length}`,
    );
}

/** The arrays that the loop begins with, by their names in the state. */
export function beginLoop({ arrays }: Run, { state }: IterateStep): void {
  for (const [name, from] of Object.entries(state)) {
    const first = arrays.get(from);
    if (first === undefined) throw new Error(`plan: nothing provides the array ${from}`);
    arrays.set(name, first);
  }
}

/** The scalars of repetition k. */
function scalarsOf(
  { plan }: Run,
  { program, schedule = {} }: IterateStep,
  k: number,
): Record<string, HostData> {
  const scalars: Record<string, HostData> = {};
  for (const { name, dtype } of plan.programs[program]?.inputs ?? []) {
    const values = schedule[name];
    if (values === undefined) continue;
    scalars[name] = hostArray(dtype, 1);
    scalars[name][0] = values[k] as number;
  }
  return scalars;
}

/**
 * Whether the loop has come to what it is for, or to its time. `until` are the values of the array that it is
 * run for.
 */
function isOver({ arrays }: Run, { deadline = '' }: IterateStep, until: Floats | undefined): boolean {
  if (until?.every((value) => value > 0)) return true;
  return Date.now() > ((arrays.get(deadline) as Floats | undefined)?.[0] ?? Number.POSITIVE_INFINITY);
}

async function runOnHost(run: Run, step: IterateStep): Promise<void> {
  const { plan, arrays } = run;
  const { program, state } = step;
  beginLoop(run, step);
  for (const { name, shape } of plan.programs[program]?.inputs ?? [])
    if (state[name] !== undefined) arrays.set(name, ofMembers(arrays.get(name) as HostData, sizeOf(shape)));
  await loopOnHost(run, step, async (scalars) => run.call(program, scalars));
}

/** The repetitions of a loop that has begun; `next` gives the next values of the state. */
export async function loopOnHost(
  run: Run,
  step: IterateStep,
  next: (scalars: Record<string, HostData>) => Promise<Record<string, HostData>>,
): Promise<void> {
  const { arrays } = run;
  const { count, state, until } = step;
  for (let k = 0; k < count; k++) {
    const computed = await next(scalarsOf(run, step, k));
    // The program's outputs are overwritten while it reads them the next time: it must read a copy, the first
    // of which is used again.
    for (const name of Object.keys(state)) {
      const value = computed[nextName(name)] as HostData;
      if (k === 0) arrays.set(name, value.slice());
      else (arrays.get(name) as HostData).set(value);
    }
    if (isOver(run, step, until === undefined ? undefined : (arrays.get(until) as Floats))) break;
  }
}

/** The same on a device that keeps the state; what ends the loop early comes back. */
async function runOnDevice(run: Run, step: IterateStep): Promise<void> {
  const { arrays } = run;
  const { program, count, state, until } = step;
  beginLoop(run, step);
  if (step.begin !== undefined) {
    const lifted = await run.places(step.begin, (output) => output);
    await run.call(step.begin, {}, lifted);
    for (const name of Object.keys(state)) {
      const first = lifted[firstName(name)];
      if (first !== undefined) arrays.set(name, first);
    }
  }
  for (let k = 0; k < count; k++) {
    const into = await run.places(program, (output) => `${output} ${k % 2}`);
    await run.call(program, scalarsOf(run, step, k), into);
    for (const name of Object.keys(state)) arrays.set(name, into[nextName(name)] as DeviceArray);
    if (
      isOver(
        run,
        step,
        until === undefined ? undefined : ((await run.read(arrays.get(until) as DeviceArray)) as Floats),
      )
    )
      break;
  }
}

function compile(stage: IterateStage, compiler: Compiler): void {
  checkLoop(stage);
  const { next, ascent, search, ...data } = stage;
  compiler.variablesOf(Object.values(next));
  const begin = compiler.axis.repeated(stage.state, next);
  compiler.axis.mark(Object.keys(stage.state));
  const outputs = Object.entries(next).map(([name, y]) => [nextName(name), y]);
  const step: IterateStep = {
    ...data,
    members: compiler.members,
    program: compiler.program(Object.fromEntries(outputs), 'all'),
    begin: begin && compiler.plainProgram(begin),
  };
  compiler.forward(step);
}

/** The state stays on a device if the host needs none of it, but for the array that ends the loop early. */
function place(step: IterateStep, residence: Residence): void {
  const { state, deadline } = step;
  if (deadline !== undefined) residence.toHost([deadline]);
  if (Object.keys(state).every((name) => !residence.isOnHost(name))) residence.toDevice(step);
  else residence.toHost(Object.entries(state).flat());
}

/** A loop on a device writes to two arrays by turns. */
const deviceNumbers = ({ program }: IterateStep, { programs }: Plan, onDevice: boolean): number =>
  onDevice ? (programs[program]?.outputs ?? []).reduce((sum, { shape }) => sum + 2 * sizeOf(shape), 0) : 0;

/** A loop by programs, and the stage after it where that is another one behind a kernel. */
interface KernelLoop {
  readonly programs: IterateStage;
  readonly finish?: WholeStage | undefined;
}

/** `compile` of a loop that a kernel does: both ways of it, for a population programs alone. */
export const compileLoop =
  <Stage extends KernelLoop>(inKernel: StageKind<Stage>['compile']): StageKind<Stage>['compile'] =>
  (stage, compiler, isLast) => {
    const byPrograms = (): void => {
      compile(stage.programs, compiler);
      if (stage.finish) whole.compile(stage.finish, compiler, isLast);
    };
    if (compiler.members !== undefined) return byPrograms();
    compiler.way('kernel', () => inKernel(stage, compiler, isLast));
    compiler.way('programs', byPrograms);
  };

export const iterate: StageKind<IterateStage, IterateStep> = {
  hasPopulations: true,
  compile,
  run: runOnHost,
  runOnDevice,
  place,
  deviceNumbers,
};
