/**
 * The exact minimum of each margin over the box, by mixed-integer linear programming (Tjeng et al. 2019,
 * arXiv 1711.07356).
 *
 * What no sound bound can exceed: the reference for every relaxation, for networks of few unstable neurons
 * (its time may double with each). Branch and bound on the signs of the ReLUs finds it (`sign-branching`),
 * for programs this small sooner than general solvers of mixed-integer programs do. A solver computes it, so
 * it has a value and no derivative; PGPE trains with it.
 */
import type { Relaxation } from '../relaxation.js';
import { type SolverRelaxationOptions, solverMargins } from './relu-stages.js';

export function exactWith(options: SolverRelaxationOptions = {}): Relaxation {
  return {
    name: 'exact',
    differentiable: false,
    bound: (problem) => solverMargins(problem, 'exact', true, options),
  };
}

export const exact: Relaxation = exactWith();
