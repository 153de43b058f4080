/**
 * The host stage behind `lp` and `exact`: minima of a specification's rows over what the linear constraints
 * of each image allow.
 *
 * One program for each image, minimised for one row after the other: relaxed, or with `exact` by branch and
 * bound on its integers.
 */

import type { HostSolver } from '../../runtime/plan/stages/host-solver.js';
import { dualBound, type OpenProgram, openLinearProgram, SolverError } from './linear-solver.js';
import { combine, type Expression, type ProgramNode, type ReluProgram, reluProgram } from './relu-program.js';
import { branchOnSigns } from './sign-branching.js';

export interface ReluSolverOptions {
  /** The relaxation's name, for errors and for the margins' array. */
  readonly name: string;
  readonly nodes: readonly ProgramNode[];
  /** Signs of unstable ReLUs are integers. */
  readonly exact: boolean;
  /** Time limit of one minimisation. */
  readonly seconds: number;
}

/** Names of the arrays of node k that the solver gets. */
export const arrayName = (what: 'matrix' | 'bias' | 'lower' | 'upper', node: number): string =>
  `${what} ${node}`;
export const marginsName = (name: string): string => `${name}:margins`;

type Floats = Float32Array | Float64Array;

/**
 * Arithmetic in float32 leaves the ends of unstable neurons off by about this much beside their size, and a
 * set cut off too early may be empty; wider ends are sound.
 */
const FLOAT32_SLACK = 2e-6;

/** Column `image` of an array [rows, batch], as float64. */
function column(array: Floats, image: number, batch: number): Float64Array {
  return Float64Array.from({ length: array.length / batch }, (_, i) => array[i * batch + image] as number);
}

/** Ends of an unstable neuron's interval, moved outwards by the rounding of their type. */
function boundsOf(
  lower: Floats,
  upper: Floats,
  image: number,
  batch: number,
): { lower: Float64Array; upper: Float64Array } {
  const [low, high] = [column(lower, image, batch), column(upper, image, batch)];
  if (lower instanceof Float64Array) return { lower: low, upper: high };
  low.forEach((l, i) => {
    const u = high[i] as number;
    if (!(l < 0 && u > 0)) return;
    const slack = FLOAT32_SLACK * (1 + Math.max(-l, u));
    low[i] = l - slack;
    high[i] = u + slack;
  });
  return { lower: low, upper: high };
}

/** Minimum of one margin. */
function minimum(
  problem: ReluProgram,
  open: OpenProgram | undefined,
  margin: Expression,
  { exact, seconds }: ReluSolverOptions,
): number {
  const cost = new Float64Array(problem.program.lower.length);
  margin.indices.forEach((j, k) => {
    cost[j] = margin.values[k] as number;
  });
  // Without an unstable ReLU the margin is linear on the box.
  if (open === undefined) return margin.constant + dualBound(problem.program, cost, new Float64Array(0));
  if (exact) return margin.constant + branchOnSigns(problem, open, cost, seconds);
  const relaxed = open.minimum(cost);
  if (relaxed === undefined)
    throw new SolverError('expected bounds of the neurons that some input fulfils, but there is none');
  return margin.constant + relaxed.bound;
}

/**
 * (`lower`, `upper` [features, batch], `rows` [classes, rows, batch], arrays of each node) → margins [rows,
 * batch].
 * @throws Error naming the image and the row when the solver has no minimum
 */
export const solve: HostSolver<ReluSolverOptions> = async (inputs, options) => {
  const { name, nodes, seconds } = options;
  const array = (key: string) => inputs[key] as Floats;
  const [lower, upper, coefficients] = [array('lower'), array('upper'), array('rows')];
  const batch = array('batch').length;
  const affine = (node: number) => ({
    matrix: array(arrayName('matrix', node)),
    bias: inputs[arrayName('bias', node)] as Floats | undefined,
  });
  let margins = new Float64Array(0);
  for (let image = 0; image < batch; image++) {
    const problem = reluProgram(nodes, {
      lower: column(lower, image, batch),
      upper: column(upper, image, batch),
      affine,
      bounds: (node) =>
        boundsOf(array(arrayName('lower', node)), array(arrayName('upper', node)), image, batch),
    });
    const classes = problem.logits.length;
    const rows = coefficients.length / classes / batch;
    if (image === 0) margins = new Float64Array(rows * batch);
    let open: OpenProgram | undefined;
    let row = 0;
    try {
      open = problem.unstable.length > 0 ? await openLinearProgram(problem.program, seconds) : undefined;
      for (; row < rows; row++) {
        const weights = Float64Array.from(
          { length: classes },
          (_, k) => coefficients[(k * rows + row) * batch + image] as number,
        );
        const margin = combine(weights, problem.logits, 0, problem.program.lower.length);
        margins[row * batch + image] = minimum(problem, open, margin, options);
      }
    } catch (error) {
      if (!(error instanceof SolverError)) throw error;
      throw new Error(
        `${name}, image ${image}, margin ${row}: ${error.message}; give it more time, a smaller network, ` +
          'or a looser relaxation',
      );
    } finally {
      open?.close();
    }
  }
  return { [marginsName(name)]: margins };
};
