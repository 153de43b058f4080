/** `row-kernel.ts` where there is no native code: the programs of ONNX Runtime compute rows. */

/** A browser has no native code. */
export const addon = (): undefined => undefined;

/** Whether rows run in the kernel. */
export const hasRowKernel = (): boolean => false;

/** What computes rows. */
export const rowsComputedBy = (): string => 'ort';

/** No instruction set can be chosen. */
export const useInstructionSet = (): undefined => undefined;

function missing(): never {
  throw new Error('row kernel: expected native code, a browser has none');
}
export const kernelBounds = missing;
export const kernelGradients = missing;
