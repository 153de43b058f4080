/** `margin-kernel.ts` where there is no native code: programs of ONNX Runtime compute margins. */
function missing(): never {
  throw new Error('margin kernel: expected native code, a browser has none');
}
export const kernelMargins = missing;
export const kernelMarginGradients = missing;
export const kernelMarginSearch = missing;
export const kernelDualSearch = missing;
