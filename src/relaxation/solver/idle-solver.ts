/**
 * Solvers that go from one program to the next: making one takes longer than a small program does. Each
 * thread keeps one at most.
 */
import { highs } from './highs.js';

type Model = ReturnType<Awaited<ReturnType<typeof highs>>['createModel']>;

/** Distances to what is feasible and to what is least that the solver takes for none. */
const TOLERANCE = 1e-9;

export interface Solver {
  readonly model: Model;
  /** Time limit of one run. */
  readonly seconds: number;
}

let idle: Solver | undefined;

/** A solver whose runs may take `seconds`; its program is to be passed to it. */
export async function takeSolver(seconds: number): Promise<Solver> {
  const { createModel } = await highs();
  const known = idle;
  idle = undefined;
  if (known?.seconds === seconds) return known;
  known?.model.dispose();
  const model = createModel();
  // Presolving would take longer than these small programs do, and lose the basis.
  model.options.set({ output_flag: false, presolve: 'off', solver: 'simplex', time_limit: seconds });
  model.options.set({ primal_feasibility_tolerance: TOLERANCE, dual_feasibility_tolerance: TOLERANCE });
  return { model, seconds };
}

/** Keeps a solver for the next program; after an error it is to be disposed of instead. */
export function giveBack(solver: Solver): void {
  idle?.model.dispose();
  idle = solver;
}
