/** Functions that host stages call. */
import type { HostData } from '../../../graph/tensor.js';

/**
 * From arrays and options to arrays, a pure function. Inputs are read before it returns; an Error of one line
 * says why it cannot answer.
 */
export type HostSolver<Options = unknown> = (
  inputs: Readonly<Record<string, HostData>>,
  options: Options,
) => Promise<Readonly<Record<string, ArrayLike<number>>>>;

/** The export `solve` of the module at a URL. */
export async function solverOf(module: string): Promise<HostSolver> {
  const { solve } = (await import(module)) as { solve: HostSolver };
  return solve;
}
