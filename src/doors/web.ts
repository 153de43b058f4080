/** `tautnet/web`: networks, bounds and training in a browser, on ONNX Runtime's WebAssembly. */
export { FormatError } from '../formats/format-error.js';
export type { BoundsOptions, InputBox, OutputBounds } from '../library/bounds.js';
export { bounds } from '../library/bounds.js';
export { architecture } from '../network/architectures.js';
export { initialize } from '../network/initialization.js';
export { exportOnnx } from '../network/onnx/export.js';
export { importOnnx } from '../network/onnx/import.js';
export { relaxationNamed, relaxations } from '../relaxation/index.js';
export { useWasm } from '../runtime/execution/wasm.js';
export { createPool } from '../runtime/pool/pool.js';
export { keyOf } from '../runtime/random/keys.js';
