/**
 * The door to the margin kernel (`native/`), where it was built: lower bounds of rows of a network's outputs
 * by back-substitution, with CROWN's lines or others, and the derivative. Without it, plans do the same with
 * programs of ONNX Runtime.
 */
import { checkArrays, checkGradients, type Floats } from './arrays.js';
import { arrivedSize, type EncodedMargins } from './margin-chain.js';
import { addon } from './row-kernel.js';

export interface KernelMargins {
  readonly chain: EncodedMargins;
  /** By position. */
  readonly arrays: readonly Floats[];
}

function check({ chain: { sizes, margins }, arrays }: KernelMargins, values: Floats): void {
  checkArrays('margin', sizes, arrays, values);
  if (values.length !== margins)
    throw new RangeError(`margin kernel: expected ${margins} margins, got ${values.length}`);
}

/** Fills in `margins`, [rows, batch]: lower bounds of the rows over the box. */
export function kernelMargins(work: KernelMargins, margins: Floats): void {
  check(work, margins);
  if (work.chain.choosesSides)
    throw new RangeError('margin kernel: expected sides that are given, got some to choose; search for them');
  addon()?.margins(work.chain.ints, work.arrays, margins, []);
}

/**
 * Adds to `gradients`, by the arrays' positions, the derivative of Σ cotangent · margin. Where there is none,
 * nothing is computed.
 */
export function kernelMarginGradients(
  work: KernelMargins,
  cotangents: Floats,
  gradients: readonly (Floats | undefined)[],
): void {
  check(work, cotangents);
  if (work.chain.dual)
    throw new RangeError('margin kernel: expected lines with a derivative, got dual ones; search with them');
  checkGradients('margin', work.arrays, gradients);
  addon()?.margins(work.chain.ints, work.arrays, cotangents, gradients);
}

/** β-CROWN's search: Adam with these moments, β's steps a `share` of α's. */
export interface DualSearch {
  readonly first: number;
  readonly second: number;
  readonly share: number;
}

/**
 * Raises each margin by its own p of lines that are `dual` (β-CROWN, `branch-and-bound/dual-program.ts`), for
 * the sizes of steps or until a group's margins exceed `thresholds`, or after the time `deadline` of
 * `Date.now()`. Fills in `margins` with the best bound met, `last` with the last p and, by the positions of
 * their weights, with v of sides that were to be chosen, and `arrived` with the coefficients of rows there,
 * [features, rows, batch]: at the output of such a ReLU by the position of its p, at the input by the last
 * position.
 */
export function kernelDualSearch(
  work: KernelMargins,
  { first, second, share }: DualSearch,
  steps: Floats,
  thresholds: Floats,
  deadline: number,
  margins: Floats,
  last: readonly (Floats | undefined)[],
  arrived: readonly (Floats | undefined)[] = [],
): void {
  checkSearch(work, steps, margins, last);
  checkArrived(work, arrived);
  if (thresholds.length !== margins.length || thresholds.constructor !== margins.constructor)
    throw new RangeError(
      `margin kernel: expected ${margins.length} thresholds, got ${thresholds.length}; give each margin one`,
    );
  const rule = Float64Array.of(first, second, share, deadline);
  addon()?.margins(work.chain.ints, work.arrays, margins, last, steps, thresholds, rule, arrived);
}

function checkArrived({ chain, arrays }: KernelMargins, arrived: readonly (Floats | undefined)[]): void {
  if (arrived.length === 0) return;
  const wrong = arrived.findIndex(
    (array, i) => array !== undefined && array.length !== arrivedSize(chain, i),
  );
  if (wrong >= 0 || arrived.length !== arrays.length)
    throw new RangeError(
      `margin kernel: expected a place for coefficients at each position, or none, got ${arrived.length}` +
        (wrong >= 0 ? ` and ${arrived[wrong]?.length} numbers at ${wrong}` : ''),
    );
}

function checkSearch(
  work: KernelMargins,
  steps: Floats,
  margins: Floats,
  places: readonly (Floats | undefined)[],
): void {
  check(work, margins);
  checkGradients('margin', work.arrays, places);
  const wrong = places.findIndex((array, i) => array !== undefined && !work.chain.searchable.includes(i));
  if (wrong >= 0 || steps.length === 0 || steps.constructor !== margins.constructor)
    throw new RangeError(
      `margin kernel: expected sizes of steps and places for α of each row, got ${steps.length} sizes` +
        (wrong >= 0 ? ` and a place for array ${wrong}` : ''),
    );
}

/**
 * Raises each margin by its own α of the lines, steps of sizes `steps` (α-CROWN, `linear/alpha-crown.ts`).
 * Fills in `margins` with the best bound met and `best`, by positions of α that have values for each row,
 * with the α there. The last point is only judged: its size of step does not matter.
 */
export function kernelMarginSearch(
  work: KernelMargins,
  steps: Floats,
  margins: Floats,
  best: readonly (Floats | undefined)[],
): void {
  checkSearch(work, steps, margins, best);
  addon()?.margins(work.chain.ints, work.arrays, margins, best, steps);
}
