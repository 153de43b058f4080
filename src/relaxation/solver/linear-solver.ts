/**
 * Linear programs, solved by HiGHS (Huangfu & Hall 2018) as WebAssembly in the calling thread:
 *
 *   minimise cᵀv  subject to  rowLower ≤ A v ≤ rowUpper,  lower ≤ v ≤ upper.
 *
 * One program is minimised for many costs, each solve beginning at the basis that the last one ended at.
 * Every variable is bounded, so that any dual solution, however inaccurate, gives a bound that holds
 * (Neumaier & Shcherbina 2004): with y the duals of the rows, signs that an infinite end forbids set to zero,
 * and d = c − Aᵀy,
 *
 *   min cᵀv ≥ Σ_i (y_i > 0 ? y_i rowLower_i : y_i rowUpper_i) + Σ_j (d_j > 0 ? d_j lower_j : d_j upper_j).
 */
import { highs } from './highs.js';
import { giveBack, type Solver, takeSolver } from './idle-solver.js';

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
}

export interface Minimum {
  /** A lower bound of the minimum, equal to it within the solver's tolerance of 1e-9. */
  readonly bound: number;
  /** Where the solver found it. */
  readonly point: Float64Array;
}

export interface OpenProgram {
  /**
   * The minimum of cost · v; undefined where no point is feasible. @throws SolverError when the solver gives
   * up, as when it runs out of time
   */
  minimum(cost: Float64Array): Minimum | undefined;
  /** Moves the ends of a variable, for the minima that follow. */
  bound(variable: number, lower: number, upper: number): void;
  /** Moves the ends of a row, for the minima that follow. */
  boundRow(row: number, lower: number, upper: number): void;
  close(): void;
}

/** The solver gave up. */
export class SolverError extends Error {
  override name = 'SolverError';
}

/**
 * Opens a program; each minimum may take `seconds`. What is found does not depend on the programs before.
 * @throws SolverError for numbers that are not finite or above 1e15
 */
export async function openLinearProgram(program: LinearProgram, seconds: number): Promise<OpenProgram> {
  const { optimal, timeLimit, infeasible } = (await highs()).constants.modelStatus;
  return new PassedProgram(await takeSolver(seconds), program, { optimal, timeLimit, infeasible });
}

/** What runs of the solver end with, of which all else is trouble. */
interface Endings {
  readonly optimal: number;
  readonly timeLimit: number;
  readonly infeasible: number;
}

class PassedProgram implements OpenProgram {
  readonly #solver: Solver;
  readonly #endings: Endings;
  /** The program with its ends as they have been moved. */
  readonly #program: LinearProgram;
  /** A solver that gave up is not used again. */
  #gaveUp = false;

  constructor(solver: Solver, program: LinearProgram, endings: Endings) {
    this.#solver = solver;
    this.#endings = endings;
    const [lower, upper] = [program.lower.slice(), program.upper.slice()];
    const [rowLower, rowUpper] = [program.rowLower.slice(), program.rowUpper.slice()];
    this.#program = { ...program, lower, upper, rowLower, rowUpper };
    const { starts, indices, values } = program;
    const [numCols, numRows] = [lower.length, rowLower.length];
    const columns = { numCols, colCost: new Float64Array(numCols), colLower: lower, colUpper: upper };
    const matrix = { format: 'csr', numRows, numCols, starts, indices, values } as const;
    try {
      this.#trying('take the program', () =>
        solver.model.passModel({ ...columns, numRows, rowLower, rowUpper, matrix }),
      );
    } catch (error) {
      this.close();
      throw error;
    }
  }

  minimum(cost: Float64Array): Minimum | undefined {
    const { model, seconds } = this.#solver;
    const [columns, rows] = [cost.length, this.#program.rowLower.length];
    this.#trying('take the cost', () =>
      model.changeColsCost({ kind: 'range', from: 0, to: columns - 1 }, cost),
    );
    model.zeroAllClocks();
    const status = this.#run();
    if (status === this.#endings.infeasible) return undefined;
    if (status !== this.#endings.optimal) {
      this.#gaveUp = true;
      const what =
        status === this.#endings.timeLimit ? `ran out of ${seconds} s` : `ended with status ${status}`;
      throw new SolverError(
        `expected a minimum over ${columns} variables and ${rows} rows, but the solver ${what}`,
      );
    }
    const { colValue, rowDual } = model.getSolution();
    return { bound: dualBound(this.#program, cost, rowDual), point: colValue };
  }

  bound(variable: number, lower: number, upper: number): void {
    this.#program.lower[variable] = lower;
    this.#program.upper[variable] = upper;
    this.#solver.model.changeColBounds(variable, lower, upper);
  }

  boundRow(row: number, lower: number, upper: number): void {
    this.#program.rowLower[row] = lower;
    this.#program.rowUpper[row] = upper;
    this.#solver.model.changeRowBounds(row, lower, upper);
  }

  close(): void {
    if (this.#gaveUp) this.#solver.model.dispose();
    else giveBack(this.#solver);
  }

  /**
   * Numerical trouble with the basis that the last minimum ended at is not one of the program: it is then
   * solved from nothing.
   */
  #run(): number {
    const { model } = this.#solver;
    try {
      model.run();
      const status = model.getModelStatus();
      if (Object.values(this.#endings).includes(status)) return status;
    } catch {}
    model.clearSolver();
    this.#trying('minimise', () => model.run());
    return model.getModelStatus();
  }

  /**
   * Calls the solver. @throws SolverError where it throws, as for numbers that are not finite or above 1e15,
   * which networks that diverged have
   */
  #trying(what: string, call: () => unknown): void {
    try {
      call();
    } catch (error) {
      this.#gaveUp = true;
      throw new SolverError(`expected the solver to ${what}, but it failed (${(error as Error).message})`, {
        cause: error,
      });
    }
  }
}

/** The bound that row duals prove; see the formula above. */
export function dualBound(
  { lower, upper, starts, indices, values, rowLower, rowUpper }: LinearProgram,
  cost: Float64Array,
  duals: Float64Array,
): number {
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
