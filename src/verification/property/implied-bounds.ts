/**
 * Bounds of inputs that inequalities of inputs alone imply: of x_k in Σ d_i x_i ≤ b, d_k > 0,
 *
 *   x_k ≤ (b − Σ_{i≠k} min d_i x_i) / d_k
 *
 * and likewise from below where d_k < 0. Only inputs that lack a bound get one, moved outwards by more than
 * its rounding, as the inequality itself stays: the box is where its inputs are searched and nothing more.
 */
import type { BoxSearch } from './box-search.js';
import type { Inequality } from './property.js';

/** Unit roundoff, doubled: what each operation may be off by, relative to the size of what is added up. */
const ROUNDING = 2 ** -52;
/** Operations besides those of each term. */
const FEWEST = 4;
/** Bounds closer to 0 than this become this. */
const SMALLEST = 2 ** -900;

/** Whether an inequality is of inputs alone. */
const isOfInputs = ({ inputs, outputs }: Inequality): boolean =>
  inputs !== undefined && outputs.every((c) => c === 0);

/** The bound, from above or below, that `row` implies for input k; undefined while another input has none. */
function impliedBy({ inputs = new Float64Array(), bound }: Inequality, k: number, search: BoxSearch) {
  let [rest, size, terms] = [bound, Math.abs(bound), FEWEST];
  for (const [i, d] of inputs.entries()) {
    if (i === k || d === 0) continue;
    const [lower, upper] = search.bounds(i);
    const end = d > 0 ? lower : upper;
    const least = d * end;
    if (!Number.isFinite(least)) return undefined;
    if (end === 0) continue;
    rest -= least;
    size += Math.abs(least);
    terms++;
  }
  // Nothing is added up: 0 is what is implied, exactly.
  if (bound === 0 && terms === FEWEST) return 0;
  const d = inputs[k] as number;
  // Divided by d < 0 a larger number is a lower bound further down.
  const implied = (rest + size * terms * ROUNDING + terms * Number.MIN_VALUE) / d;
  return Math.abs(implied) < SMALLEST ? Math.sign(d) * SMALLEST : implied;
}

/**
 * Gives inputs without a bound those that follow from inequalities of inputs, as far as there are any.
 * @returns false where they contradict what is there
 */
export function tightenByInequalities(search: BoxSearch, rows: readonly Inequality[]): boolean {
  if (search.unbounded() === undefined) return true;
  const ofInputs = rows.filter(isOfInputs);
  for (let found = true; found && search.unbounded() !== undefined; ) {
    found = false;
    for (const row of ofInputs)
      for (const [k, d] of (row.inputs as Float64Array).entries()) {
        const [lower, upper] = search.bounds(k);
        // Stryker disable next-line EqualityOperator: d is not 0
        if (d === 0 || Number.isFinite(d > 0 ? upper : lower)) continue;
        const bound = impliedBy(row, k, search);
        if (bound === undefined || !Number.isFinite(bound)) continue;
        found = true;
        // Stryker disable next-line EqualityOperator: d is not 0
        if (!(d > 0 ? search.below(k, bound) : search.above(k, bound))) return false;
      }
  }
  return true;
}
