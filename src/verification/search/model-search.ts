/**
 * An attack on a model that nothing is known of but its values: a random search over the corners of boxes.
 *
 * From the centre, from corners and from places drawn between, some inputs at a time go to an end of their
 * interval, fewer and fewer, and stay there where that brings the outputs no further from unsafe. Extrema of
 * networks over boxes are mostly at corners (Andriushchenko et al. 2020, arXiv 1912.00049).
 */
import { deriveKey, type Key, keyOf, uniforms } from '../../runtime/random/keys.js';
import { type Counterexample, clampInto, confirm, type Evaluate } from '../proof/counterexample.js';
import { centreOf, type Polytope, violation } from '../property/property.js';

export interface ModelSearchContext {
  /** Outputs of the model. */
  readonly evaluate: Evaluate;
  readonly signal?: AbortSignal;
  readonly seed?: number;
}

/** Evaluations in all, and before a polytope hands over to the next. */
const EVALUATIONS = 20_000;
const TURN = 50;
/** Evaluations of a start; the share of the inputs that move falls from one half to `LEAST` on the way. */
const START = 500;
const LEAST = 0.002;

/** A search under way. */
interface Descent {
  readonly polytope: number;
  readonly key: Key;
  readonly varying: readonly number[];
  evaluations: number;
  /** The best place of this start and how far it is from unsafe. */
  best: Float32Array | undefined;
  value: number;
}

/**
 * A counterexample to one of the polytopes, by its number in the list, or undefined if none was found within
 * the evaluations and the time.
 * @throws the reason of the signal when it is aborted
 */
export async function modelSearch(
  { evaluate, signal, seed = 0 }: ModelSearchContext,
  polytopes: readonly Polytope[],
  deadline: number,
): Promise<Counterexample | undefined> {
  const key = deriveKey(keyOf(seed), 2, 0);
  const descents = polytopes.map(
    ({ box: { lower, upper } }, polytope): Descent => ({
      polytope,
      key: deriveKey(key, polytope, 0),
      varying: [...lower.keys()].filter((i) => (lower[i] as number) < (upper[i] as number)),
      evaluations: 0,
      best: undefined,
      value: Number.POSITIVE_INFINITY,
    }),
  );
  for (let left = EVALUATIONS; left > 0; )
    for (const descent of descents) {
      const polytope = polytopes[descent.polytope] as Polytope;
      for (let turn = 0; turn < TURN && left > 0; turn++, left--) {
        signal?.throwIfAborted();
        if (performance.now() > deadline) return undefined;
        const x = nextPlace(descent, polytope);
        const input = clampInto(polytope.box, x);
        const value = violation(polytope, input, await evaluate(Float32Array.from(input)));
        if (value <= 0) {
          const found = await confirm(polytope, descent.polytope, x, evaluate);
          if (found) return found;
        }
        if (value <= descent.value) [descent.best, descent.value] = [x, value];
      }
    }
  return undefined;
}

/** The next place to try: the first of a start, or the best so far with some inputs at another end. */
function nextPlace(descent: Descent, { box }: Polytope): Float32Array {
  const { varying, best } = descent;
  const number = descent.evaluations++;
  const [start, step] = [Math.floor(number / START), number % START];
  const draws = new Float32Array(2 * varying.length + 1);
  uniforms(deriveKey(descent.key, number, 0), draws);
  if (step === 0 || best === undefined) {
    descent.value = Number.POSITIVE_INFINITY;
    const x = Float32Array.from(centreOf(box));
    if (start > 0)
      varying.forEach((i, k) => {
        moveTo(x, box, i, draws[k] as number, start % 2 === 1);
      });
    return x;
  }
  const x = best.slice();
  const share = 0.5 * (2 * LEAST) ** (step / START);
  // One of them at least.
  const any = Math.floor((draws.at(-1) as number) * varying.length);
  varying.forEach((i, k) => {
    if (k === any || (draws[varying.length + k] as number) < share)
      moveTo(x, box, i, draws[k] as number, true);
  });
  return x;
}

/** Input i to a share of its interval, or to the end that is nearer to it. */
function moveTo(x: Float32Array, { lower, upper }: Polytope['box'], i: number, share: number, end: boolean) {
  const at = end ? Math.round(share) : share;
  x[i] = (1 - at) * (lower[i] as number) + at * (upper[i] as number);
}
