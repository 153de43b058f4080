/**
 * The door to the interval kernel (`native/`), where it was built: values or intervals of a chain of layers,
 * and the derivative. Without it, plans do the same with programs of ONNX Runtime.
 */
import { checkArrays, checkGradients, type Floats } from './arrays.js';
import type { EncodedLayers } from './layer-chain.js';
import { addon } from './row-kernel.js';

export interface KernelLayers {
  readonly chain: EncodedLayers;
  /** By position: the input, weights, biases, and what is seen, [features, batch]. */
  readonly arrays: readonly Floats[];
}

const check = ({ chain: { sizes }, arrays }: KernelLayers): void => checkArrays('interval', sizes, arrays);

function checkStored({ chain, arrays }: KernelLayers, stored: Floats): void {
  const type = arrays[0]?.constructor.name;
  if (stored.length !== chain.stored || stored.constructor !== arrays[0]?.constructor)
    throw new RangeError(
      `interval kernel: expected ${chain.stored} numbers for activations as ${type}, ` +
        `got ${stored.length} as ${stored.constructor.name}`,
    );
}

/**
 * Fills in the arrays that are seen. With `stored`, zero at first and the same from call to call, activations
 * go there for `propagateBack`.
 */
export function propagate(work: KernelLayers, stored?: Floats): void {
  check(work);
  if (stored !== undefined) checkStored(work, stored);
  addon()?.propagate(work.chain.ints, work.arrays, [], stored);
}

/**
 * Adds to the gradients of input, weights and biases, by position, the derivative of Σ seen · its cotangent:
 * `gradients` has those of what is seen. Where there is none, nothing is computed. `stored` is as the forward
 * pass of the same arrays left it.
 */
export function propagateBack(
  work: KernelLayers,
  stored: Floats,
  gradients: readonly (Floats | undefined)[],
): void {
  check(work);
  checkStored(work, stored);
  checkGradients('interval', work.arrays, gradients);
  addon()?.propagate(work.chain.ints, work.arrays, gradients, stored);
}
