/**
 * What a VNN-LIB file says, as plain data: how many inputs and outputs, and one tree of `and`s and `or`s over
 * linear constraints.
 *
 * A file holds up to millions of constraints, nearly all of one or two variables, so a constraint is a small
 * object whose lists are shared where they are equal, and no node keeps its place in the file.
 */

/** Σ coefficients_k · variables_k ≤ bound. */
export interface LinearConstraint {
  /**
   * i stands for the input X_i, −1 − j for the output Y_j; each once, in ascending order. None is left of a
   * constraint of constants: 0 ≤ bound.
   */
  readonly variables: readonly number[];
  /** Finite, none zero. */
  readonly coefficients: readonly number[];
  readonly bound: number;
  /** < instead of ≤. */
  readonly strict?: boolean;
}

/** A condition on inputs x and outputs y: linear inequalities joined by `and` and `or`. */
export type Constraint =
  | LinearConstraint
  | { readonly and: readonly Constraint[] }
  | { readonly or: readonly Constraint[] };

/**
 * Inputs and outputs that fulfil `constraint` are counterexamples; the property holds where the network has
 * none.
 */
export interface VnnlibProperty {
  /** What errors call the file. */
  readonly source: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly constraint: Constraint;
  /** The name of its network, where version 2.0 gives one. */
  readonly network?: string;
}

/** The variable that stands for Y_j. */
export const outputVariable = (j: number): number => -1 - j;

/** X_i or Y_j, as the file names it. */
export const variableName = (variable: number): string =>
  variable >= 0 ? `X_${variable}` : `Y_${-1 - variable}`;
