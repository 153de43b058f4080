/**
 * An attack that needs nothing but values of the model itself: a pattern search of boxes with few varying
 * inputs.
 *
 * Descents follow gradients of our reading of the model in float32. Behind a normalisation by thousands of
 * deviations that reading is off by more than what decides; the model's own values are not. From the best
 * corners and the centre, steps along single inputs, halved where none helps.
 */
import type { VerificationContext } from '../proof/context.js';
import { type Counterexample, clampInto, confirm } from '../proof/counterexample.js';
import { type Polytope, violation } from '../property/property.js';

/** Varying inputs of a box, and polytopes, up to which it is tried. */
const MOST_INPUTS = 8;
const MOST_POLYTOPES = 8;
/** Evaluations of the model for one polytope. */
const EVALUATIONS = 400;
/** Places that a pattern search starts at. */
const STARTS = 3;
/** Steps begin and end at these shares of the box. */
const [FIRST, LAST] = [2 ** -2, 2 ** -14];

/** A place in a box, as shares of its widths along the varying inputs, and how far it is from unsafe. */
interface Place {
  readonly shares: readonly number[];
  readonly value: number;
}

/**
 * A counterexample to one of the polytopes, by its number in the list, or undefined if none was found or the
 * boxes have too many varying inputs.
 * @throws the reason of the context's signal when it is aborted
 */
export async function modelAttack(
  context: Pick<VerificationContext, 'evaluate' | 'signal'>,
  polytopes: readonly Polytope[],
  deadline: number,
): Promise<Counterexample | undefined> {
  if (polytopes.length > MOST_POLYTOPES) return undefined;
  for (const [index, polytope] of polytopes.entries()) {
    const found = await searchPolytope(context, polytope, index, deadline);
    if (found) return found;
  }
  return undefined;
}

async function searchPolytope(
  { evaluate, signal }: Pick<VerificationContext, 'evaluate' | 'signal'>,
  polytope: Polytope,
  index: number,
  deadline: number,
): Promise<Counterexample | undefined> {
  const { lower, upper } = polytope.box;
  const varying = Array.from(lower.keys()).filter((i) => (lower[i] as number) < (upper[i] as number));
  if (varying.length > MOST_INPUTS) return undefined;
  let found: Counterexample | undefined;
  let left = EVALUATIONS;
  const over = () => found !== undefined || left <= 0 || performance.now() > deadline;
  const at = async (shares: readonly number[]): Promise<Place> => {
    signal?.throwIfAborted();
    left--;
    const x = Float32Array.from(lower);
    varying.forEach((i, k) => {
      const [low, high] = [lower[i] as number, upper[i] as number];
      x[i] = low + (shares[k] as number) * (high - low);
    });
    const input = clampInto(polytope.box, x);
    const value = violation(polytope, input, await evaluate(Float32Array.from(input)));
    if (value <= 0) found = await confirm(polytope, index, x, evaluate);
    return { shares, value: Number.isFinite(value) ? value : Number.POSITIVE_INFINITY };
  };
  const places: Place[] = [];
  for (const shares of firstPlaces(varying.length)) if (!over()) places.push(await at(shares));
  places.sort((a, b) => a.value - b.value);
  for (const place of places.slice(0, STARTS)) await descend(place, at, over);
  return found;
}

/** The centre and the corners. */
function firstPlaces(inputs: number): number[][] {
  const corner = (number: number) => Array.from({ length: inputs }, (_, k) => (number >> k) & 1);
  return [Array<number>(inputs).fill(0.5), ...Array.from({ length: 2 ** inputs }, (_, n) => corner(n))];
}

/** Steps along single inputs while they help, then half as large. */
async function descend(
  from: Place,
  at: (shares: readonly number[]) => Promise<Place>,
  over: () => boolean,
): Promise<void> {
  let best = from;
  for (let step = FIRST; step >= LAST && !over(); ) {
    let improved = false;
    for (let move = 0; move < 2 * from.shares.length && !over(); move++) {
      const [axis, sign] = [move >> 1, move % 2 === 0 ? 1 : -1];
      const moved = best.shares.map((s, k) => (k === axis ? Math.min(1, Math.max(0, s + sign * step)) : s));
      if (moved[axis] === best.shares[axis]) continue;
      const there = await at(moved);
      if (there.value < best.value) [best, improved] = [there, true];
    }
    if (!improved) step /= 2;
  }
}
