/**
 * The door to the margin kernel (`native/`), where it was built: lower bounds of rows of a network's outputs
 * by back-substitution with CROWN's lines, and the derivative. Without it, plans do the same with programs of
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
