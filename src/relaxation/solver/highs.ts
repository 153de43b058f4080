/** The solver HiGHS (Huangfu & Hall 2018) as WebAssembly, loaded once in each thread. */
import loadHighs, { type Highs } from 'highs';

// The package's types describe its CommonJS form, in which the loader is a property; imported, it is the
// default export itself.
const load = loadHighs as unknown as typeof loadHighs.default;

let loading: Promise<Highs> | undefined;

/** The solver. */
export function highs(): Promise<Highs> {
  loading ??= load();
  return loading;
}
