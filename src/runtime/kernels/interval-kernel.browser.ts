/** `interval-kernel.ts` where there is no native code: programs of ONNX Runtime compute intervals. */
function missing(): never {
  throw new Error('interval kernel: expected native code, a browser has none');
}
export const propagate = missing;
export const propagateBack = missing;
