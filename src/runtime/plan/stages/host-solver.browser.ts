/** `host-solver.ts` in a browser, which is sent no solver: it is larger than all else of a page. */

/** @throws Error always */
export async function solverOf(): Promise<never> {
  throw new Error(
    'lp, exact: expected a relaxation without a solver in a browser; choose crown or alpha-crown',
  );
}
