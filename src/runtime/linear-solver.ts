/**
 * Linear and mixed-integer linear programs, solved by HiGHS (Huangfu & Hall 2018) as WebAssembly in the calling thread:
 *
 *   minimise cᵀv  subject to  rowLower ≤ A v ≤ rowUpper,  lower ≤ v ≤ upper,  v_i ∈ ℤ for some i.
 *
 * One program is minimised for many costs, each solve beginning at the basis that the last one ended at. Every variable is bounded, so
 * that any dual solution, however inaccurate, gives a bound that holds (Neumaier & Shcherbina 2004): with y the duals of the rows,
 * signs that an infinite end forbids set to zero, and d = c − Aᵀy,
 *
 *   min cᵀv ≥ Σ_i (y_i > 0 ? y_i rowLower_i : y_i rowUpper_i) + Σ_j (d_j > 0 ? d_j lower_j : d_j upper_j).
 */
import loadHighs, { type Highs, type Model, type ModelData } from 'highs';

export interface LinearProgram {
  /** Ends of each variable, finite. */
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  /** A by rows: row i has the entries starts[i] … starts[i + 1]. */
  readonly starts: Int32Array;
  readonly indices: Int32Array;
  readonly values: Float64Array;
  /** Ends of each row, −∞ and ∞ allowed. */
  readonly rowLower: Float64Array;
  readonly rowUpper: Float64Array;
  /** 1 for variables that are integers, where `integral` is asked for. */
  readonly integer: Int32Array;
}

export interface Minimum {
  /** A lower bound of the minimum, equal to it within the solver's tolerance of 1e-9. */
  readonly bound: number;
  /** Where the solver found it. */
  readonly point: Float64Array;
}

export interface OpenProgram {
  /** The minimum with all variables real. */
  relaxed(cost: Float64Array): Minimum;
  /** The minimum with the integer variables integral. */
  integral(cost: Float64Array): Minimum;
  close(): void;
}

/** A program that HiGHS gave no minimum of. */
export class SolverError extends Error {
  override name = 'SolverError';
}

const TOLERANCE = 1e-9;

// The package's types describe its CommonJS form, in which the loader is a property; imported, it is the default export itself.
const load = loadHighs as unknown as typeof loadHighs.default;

let loading: Promise<Highs> | undefined;
/** The solver, loaded once in each thread. */
function solver(): Promise<Highs> {
  loading ??= load();
  return loading;
}

/**
 * Opens a program; each solve may take `seconds`.
 * @throws SolverError from its methods when there is no minimum to give: infeasible, or out of time
 */
export async function openLinearProgram(program: LinearProgram, seconds: number): Promise<OpenProgram> {
  const highs = await solver();
  const columns = program.lower.length;
  const open = new Map<boolean, Model>();
  const modelOf = (integral: boolean): Model => {
    const known = open.get(integral);
    if (known !== undefined) return known;
    const model = highs.createModel(modelData(program, integral));
    open.set(integral, model);
    model.options.set({ output_flag: false, presolve: integral ? 'choose' : 'off', time_limit: seconds, primal_feasibility_tolerance: TOLERANCE });
    model.options.set({ dual_feasibility_tolerance: TOLERANCE, mip_feasibility_tolerance: TOLERANCE, mip_rel_gap: 0, mip_abs_gap: TOLERANCE });
    return model;
  };
  const solve = (cost: Float64Array, integral: boolean): Model => {
    const model = modelOf(integral);
    model.changeColsCost({ kind: 'range', from: 0, to: columns - 1 }, cost);
    model.zeroAllClocks();
    model.run();
    const status = model.getModelStatus();
    const { optimal, timeLimit, infeasible } = highs.constants.modelStatus;
    if (status === optimal) return model;
    const what = status === timeLimit ? `ran out of ${seconds} s` : status === infeasible ? 'found no feasible point' : `ended with status ${status}`;
    throw new SolverError(`expected a minimum over ${columns} variables and ${program.rowLower.length} rows, but the solver ${what}`);
  };
  return {
    relaxed(cost) {
      const { colValue, rowDual } = solve(cost, false).getSolution();
      return { bound: dualBound(program, cost, rowDual), point: colValue };
    },
    integral(cost) {
      const model = solve(cost, true);
      return { bound: Number(model.info.get('mip_dual_bound')), point: model.getSolution().colValue };
    },
    close() {
      for (const model of open.values()) model.dispose();
      open.clear();
    },
  };
}

function modelData({ lower, upper, starts, indices, values, rowLower, rowUpper, integer }: LinearProgram, integral: boolean): ModelData {
  const [numCols, numRows] = [lower.length, rowLower.length];
  const matrix = { format: 'csr', numRows, numCols, starts, indices, values } as const;
  const data = { numCols, numRows, colCost: new Float64Array(numCols), colLower: lower, colUpper: upper, rowLower, rowUpper, matrix };
  return integral ? { ...data, integrality: integer } : data;
}

/** The bound that row duals prove; see the formula above. */
export function dualBound({ lower, upper, starts, indices, values, rowLower, rowUpper }: LinearProgram, cost: Float64Array, duals: Float64Array): number {
  const reduced = cost.slice();
  let bound = 0;
  rowLower.forEach((low, i) => {
    const dual = duals[i] as number;
    const end = dual > 0 ? low : (rowUpper[i] as number);
    if (dual === 0 || !Number.isFinite(end)) return;
    bound += dual * end;
    for (let k = starts[i] as number; k < (starts[i + 1] as number); k++) {
      const j = indices[k] as number;
      reduced[j] = (reduced[j] as number) - dual * (values[k] as number);
    }
  });
  return reduced.reduce((sum, d, j) => sum + d * ((d > 0 ? lower[j] : upper[j]) as number), bound);
}
