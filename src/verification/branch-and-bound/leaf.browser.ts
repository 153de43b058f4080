/** `leaf.ts` in a browser, which is sent no solver: it is a quarter of all that a page may send. */

/** No solver: parts with all ReLUs decided have a long ascent in its place. */
export const createLeafSolver = async (): Promise<undefined> => undefined;
