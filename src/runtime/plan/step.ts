/** Plans as they are sent to workers: plain data, with encoded programs in shared memory. */
import type { EncodedProgram } from '../../graph/encode.js';
import type { FloatType, Shape } from '../../graph/tensor.js';

/** One step of a plan; the kind of stage that it comes from (`stages/`) says how it is run. */
export interface Step {
  readonly kind: string;
  readonly way?: Way;
}

/**
 * The way of a step to arrays that a plan can compute in two: by the row kernel, or by programs. Steps
 * without are of both.
 */
export type Way = 'kernel' | 'programs';

/** What is on one way: steps, or programs. */
export const onWay = <T extends { readonly way?: Way }>(all: readonly T[], way: Way): readonly T[] =>
  all.filter((one) => one.way === undefined || one.way === way);

/** A program of a plan, and the way that it is on. */
export interface PlanProgram extends EncodedProgram {
  readonly way?: Way;
}

/**
 * A compiled computation: programs and the steps that run them. Plain data, so that workers can be sent it.
 */
export interface Plan {
  readonly id: string;
  readonly programs: readonly PlanProgram[];
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
 * The sum to which a rows stage's backward program adds its gradient comes in under this name, and leaves in
 * the same array.
 */
export const sumName = (name: string): string => `Σ${name}`;

const NEXT = '→';
/**
 * The next value of an array of a loop, or an array that goes to a solver: a program's output may not have
 * the name of an input.
 */
export const nextName = (name: string): string => NEXT + name;
/** The array that `nextName` was asked for. */
export const sentName = (next: string): string => next.slice(NEXT.length);
