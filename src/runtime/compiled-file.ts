/**
 * Files that run in threads and processes of their own, which know no TypeScript: the compiled form of a
 * module, also where a test runner executes the sources. The runner builds first (`testing/build.ts`).
 */

/** URL of a compiled module by its path within `src/`, such as 'runtime/pool/worker.js'. */
export const compiledUrl = (path: string): URL =>
  new URL(import.meta.url.endsWith('.ts') ? `../../dist/${path}` : `../${path}`, import.meta.url);
