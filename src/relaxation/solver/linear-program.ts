/**
 * LP: the exact minimum over all triangle relaxations at once (Ehlers 2017, arXiv 1705.01320; Salman et al.
 * 2019, arXiv 1902.08722).
 *
 * No bound that replaces each ReLU by linear inequalities of its own input and output, with the same bounds
 * of the inputs, is tighter: neither CROWN nor α-CROWN. A solver computes it, so it has a value and no
 * derivative; PGPE trains with it.
 */
import type { Relaxation } from '../relaxation.js';
import { type SolverRelaxationOptions, solverMargins } from './relu-stages.js';

export function linearProgramWith(options: SolverRelaxationOptions = {}): Relaxation {
  return {
    name: 'lp',
    differentiable: false,
    bound: (problem) => solverMargins(problem, 'lp', false, options),
  };
}

export const linearProgram: Relaxation = linearProgramWith();
