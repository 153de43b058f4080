/**
 * A kind of stage in one object, as an operator of `graph/` is: how it is compiled, how its steps run on the
 * host and on a device, and what they take of a device's memory.
 */
import type { EncodedProgram } from '../../../graph/encode.js';
import type { Tensor } from '../../../graph/tensor.js';
import type { MemberAxis } from '../member-axis.js';
import type { Feeds, Members, Run } from '../run.js';
import type { Plan, Step, Way } from '../step.js';

/** A plan while it is compiled. */
export interface Compiler {
  /** Members of the population that the plan is for. */
  readonly members: number | undefined;
  /** Whether anything is differentiated. */
  readonly differentiates: boolean;
  /** Which arrays have the axis of members. */
  readonly axis: MemberAxis;
  /** Adds a program; `all`: all its outputs have the axis of members. Its number in the plan. */
  program(outputs: Readonly<Record<string, Tensor>>, every?: 'all'): number;
  /** Adds a program that knows no members. */
  plainProgram(outputs: Readonly<Record<string, Tensor>>): number;
  /** An added program. */
  encoded(program: number): EncodedProgram;
  /** Float inputs of graphs that depend on what is differentiated. */
  variablesOf(outputs: readonly Tensor[]): Tensor[];
  /** Whether an array depends on what is differentiated. */
  isActive(name: string): boolean;
  /** Says of arrays that they depend on what is differentiated. */
  activate(names: readonly string[]): void;
  /** Adds what `compile` adds as one of two ways to the same arrays; within a way, that one alone. */
  way(way: Way, compile: () => void): void;
  /** Adds a step to the forward run. */
  forward(step: Step): void;
  /** Adds a step to the backward run, before those that are there. */
  backward(step: Step): void;
}

/** Which arrays of a plan the host needs and which steps a device runs, while it is found out. */
export interface Residence {
  /** Says of arrays that the host reads them. */
  toHost(names: Iterable<string>): void;
  isOnHost(name: string): boolean;
  /** Says of a program's outputs that programs read them. */
  computes(program: number): void;
  /** Says of a step that a device runs it. */
  toDevice(step: Step): void;
}

export interface StageKind<Stage, S extends Step = Step> {
  /** Adds the stage's programs and steps. The last stage of a plan is its result. */
  compile(stage: Stage, compiler: Compiler, isLast: boolean): void;
  /** Whether one run serves all members of a population. */
  readonly hasPopulations: boolean;
  run(run: Run, step: S): Promise<void>;
  /**
   * A plan of this step alone at many members: its results, which are scalars, [members, micro-batches,
   * results].
   */
  runMembers?(step: S, results: readonly string[], members: Members, feeds: readonly Feeds[]): Float64Array;
  /** `run` where the step's arrays stay on the device, if that is another way. */
  runOnDevice?(run: Run, step: S): Promise<void>;
  /** Whether a plan of this step may hold arrays on a device; default yes. */
  fitsDevice?(step: S): boolean;
  /** Says which arrays the host needs, and whether a device runs the step. */
  place?(step: S, residence: Residence): void;
  /** Numbers that a device holds for the step beside arrays of programs. */
  deviceNumbers?(step: S, plan: Plan, onDevice: boolean): number;
  /** Whether the step adds to gradients: by itself, or its programs on the device. */
  adds?(step: S): 'steps' | 'programs' | undefined;
}
