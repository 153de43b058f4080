/**
 * The door to the margin kernel (`native/`), where it was built: lower bounds of rows of a network's outputs
 * by back-substitution, with CROWN's lines or others, and the derivative. Without it, plans do the same with programs of
 * ONNX Runtime.
 */
import { checkArrays, checkGradients, type Floats } from './arrays.js';
import type { EncodedMargins } from './margin-chain.js';
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
  checkGradients('margin', work.arrays, gradients);
  addon()?.margins(work.chain.ints, work.arrays, cotangents, gradients);
}

/**
 * Raises each margin by its own α of the lines, steps of sizes `steps` (α-CROWN, `linear/alpha-crown.ts`), and
 * fills in `margins` with the best bound met and `best`, by positions of α that have values for each row, with
 * the α there. The last point is only judged: its size of step does not matter.
 */
export function kernelMarginSearch(
  work: KernelMargins,
  steps: Floats,
  margins: Floats,
  best: readonly (Floats | undefined)[],
): void {
  check(work, margins);
  checkGradients('margin', work.arrays, best);
  const wrong = best.findIndex((array, i) => array !== undefined && !work.chain.searchable.includes(i));
  if (wrong >= 0 || steps.length === 0 || steps.constructor !== margins.constructor)
    throw new RangeError(
      `margin kernel: expected sizes of steps and places for α of each row, got ${steps.length} sizes` +
        (wrong >= 0 ? ` and a place for array ${wrong}` : ''),
    );
  addon()?.margins(work.chain.ints, work.arrays, margins, best, steps);
}
