/**
 * What a VNN-LIB file says, as plain data: how many inputs and outputs, and one tree of `and`s and `or`s over
 * linear constraints.
 *
 * A file holds up to millions of constraints, nearly all of one or two variables, so a constraint is a small
 * object whose lists are shared where they are equal, and no node keeps its place in the file.
 */
import { elementsOf, type NetworkDeclaration, type TensorDeclaration, tensorsOf } from './tensor.js';

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
  /**
   * The networks of version 2.0: inputs are numbered through all of them, and so are hidden tensors together
   * with outputs, in the order of the file.
   */
  readonly networks?: readonly NetworkDeclaration[];
}

/** The variable that stands for Y_j. */
export const outputVariable = (j: number): number => -1 - j;

/** X_i or Y_j of version 1.0, X[0,1] of version 2.0, as the file names it. */
export function variableName(variable: number, networks?: readonly NetworkDeclaration[]): string {
  if (networks === undefined) return variable >= 0 ? `X_${variable}` : `Y_${-1 - variable}`;
  const place = ({ first }: TensorDeclaration): number =>
    variable >= 0 ? variable - first : first - variable;
  const tensor = tensorsOf(networks).find(
    (one) => (one.kind === 'input') === variable >= 0 && place(one) >= 0 && place(one) < elementsOf(one),
  );
  if (tensor === undefined) throw new RangeError(`expected a variable of the query, got ${variable}`);
  const { name, shape } = tensor;
  let rest = place(tensor);
  const indices = [...shape].reverse().map((extent) => {
    const index = rest % extent;
    rest = Math.floor(rest / extent);
    return index;
  });
  return shape.length === 0 ? name : `${name}[${indices.reverse().join(',')}]`;
}
