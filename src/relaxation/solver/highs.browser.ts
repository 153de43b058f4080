/** `highs.ts` in a browser, which is sent no solver. */

/** @throws Error always */
export async function highs(): Promise<never> {
  throw new Error(
    'expected no linear program in a browser, which has no solver; choose crown or alpha-crown',
  );
}
