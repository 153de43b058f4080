/**
 * What a relaxation is: from a network, its parameters, an input box and a specification to lower bounds of
 * the specification's rows.
 */
import { constant, type FloatType, reshape, type Tensor, takeRows, transpose } from '../graph/index.js';
import type { Network, Parameters } from '../network/network.js';
import type { Stage } from '../runtime/plan/plan.js';

/** Element-wise bounds [features, batch]. */
export interface Bounds {
  readonly lower: Tensor;
  readonly upper: Tensor;
}

/** What is to be bounded from below, for each image. */
export type Specification =
  /** The margins logit[y] − logit[j] for the classes j ≠ y in ascending order; labels [batch], int32. */
  | { readonly kind: 'labels'; readonly labels: Tensor }
  /** Any linear functions of the logits: coefficients [classes, rows, batch]. */
  | { readonly kind: 'rows'; readonly coefficients: Tensor };

export interface BoundProblem {
  readonly network: Network;
  readonly parameters: Parameters;
  /** The set of inputs, [features, batch]. */
  readonly box: Bounds;
  readonly specification: Specification;
  /** Merge the last affine layer with the specification before bounding (default true). */
  readonly elision?: boolean;
  /** Floats that the rows of dense back-substitution may take at once (default 2²⁶). */
  readonly rowFloats?: number;
}

/** Lower bounds as graphs: stages that run first, then the margins. */
export interface BoundResult {
  /** Computations to run before the margins' graph, in order; empty where one graph does it all. */
  readonly stages: readonly Stage[];
  /** Lower bounds of the specification's rows, [rows, batch]. */
  readonly margins: Tensor;
}

/** What loss fusion gives: a bound of the loss itself. */
export interface FusedBound {
  /** Computations to run before, as for margins. */
  readonly stages: readonly Stage[];
  /** Upper bounds of max over the box of the cross-entropy against the labels, [1, batch]. */
  readonly loss: Tensor;
  /**
   * Lower bounds of the margins that came with it, [classes − 1, batch]; they may be looser than the
   * relaxation's own.
   */
  readonly margins: Tensor;
}

/** Lower bounds of C·f(x) over a box of inputs, as a graph in the network's parameters. */
export interface Relaxation {
  readonly name: string;
  /** Whether its bounds have a useful derivative in the parameters. */
  readonly differentiable: boolean;
  bound(problem: BoundProblem): BoundResult;
  /**
   * Bounds the cross-entropy at once, cheaper than from all margins; for labels. Relaxations without loss
   * fusion have none.
   */
  fused?(problem: BoundProblem): FusedBound;
}

/** Rows of e_y − e_j, j ≠ y ascending, for one label y: [classes, classes − 1]. */
function marginRows(label: number, classes: number): Float64Array {
  const rows = new Float64Array(classes * (classes - 1));
  for (let j = 0, row = 0; j < classes; j++) {
    if (j === label) continue;
    rows[label * (classes - 1) + row] = 1;
    rows[j * (classes - 1) + row++] = -1;
  }
  return rows;
}

/** Coefficients [classes, rows, batch] of a specification. */
export function specificationMargins(
  specification: Specification,
  classes: number,
  dtype: FloatType,
): Tensor {
  if (specification.kind === 'rows') return specification.coefficients;
  const table = new Float64Array(classes * classes * (classes - 1));
  for (let y = 0; y < classes; y++) table.set(marginRows(y, classes), y * classes * (classes - 1));
  const batch = specification.labels.shape[0] as number;
  const chosen = takeRows(constant(table, [classes, classes * (classes - 1)], dtype), specification.labels);
  return reshape(transpose(chosen), [classes, classes - 1, batch]);
}
