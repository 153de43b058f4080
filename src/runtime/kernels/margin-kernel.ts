/**
 * The door to the margin kernel (`native/`), where it was built: lower bounds of rows of a network's outputs by
 * back-substitution with CROWN's lines, and the derivative. Without it, plans do the same with programs of
 * ONNX Runtime.
 */
import type { EncodedMargins } from './margin-chain.js';
import { addon } from './row-kernel.js';

type Floats = Float32Array | Float64Array;

export interface KernelMargins {
  readonly chain: EncodedMargins;
  /** By position. */
  readonly arrays: readonly Floats[];
}

function check({ chain: { sizes, margins }, arrays }: KernelMargins, values: Floats): void {
  if (arrays.length !== sizes.length)
    throw new RangeError(`margin kernel: expected ${sizes.length} arrays, got ${arrays.length}`);
  for (const [i, array] of arrays.entries())
    if (array.length !== sizes[i] || array.constructor !== values.constructor)
      throw new RangeError(
        `margin kernel: expected array ${i} of ${sizes[i]} numbers as ${values.constructor.name}, got ` +
          `${array.length} as ${array.constructor.name}`,
      );
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
  const wrong = gradients.findIndex((g, i) => g !== undefined && g.length !== work.arrays[i]?.length);
  if (wrong >= 0 || gradients.length !== work.arrays.length)
    throw new RangeError('margin kernel: expected a gradient of the size of each array, or none');
  addon()?.margins(work.chain.ints, work.arrays, cotangents, gradients);
}
