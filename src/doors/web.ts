/**
 * `tautnet/web`: networks, bounds, certification and training in a browser, on ONNX Runtime's WebAssembly
 * (`onnxruntime-web`, which the page installs). Everything runs in the calling thread: call it in a worker.
 */
export type { DatasetDescription, ImageShape, Split } from '../data/dataset.js';
export type { EpochCourse, MemoryTraining, TrainedInMemory } from '../experiment/train-in-memory.js';
export { trainInMemory } from '../experiment/train-in-memory.js';
export { FormatError } from '../formats/format-error.js';
export type { BoundsOptions, InputBox, OutputBounds } from '../library/bounds.js';
export { bounds } from '../library/bounds.js';
export { architecture } from '../network/architectures.js';
export type { InitializationScheme } from '../network/initialization.js';
export { initialize } from '../network/initialization.js';
export type { Extents } from '../network/layers/layer.js';
export type { Normalization } from '../network/layers/normalize.js';
export type { Network } from '../network/network.js';
export type { OnnxExportOptions } from '../network/onnx/export.js';
export { exportOnnx } from '../network/onnx/export.js';
export type { ImportedNetwork, OnnxImportOptions } from '../network/onnx/import.js';
export { importOnnx } from '../network/onnx/import.js';
export type { ParameterArrays } from '../network/parameters.js';
export { relaxationNamed, relaxations } from '../relaxation/index.js';
export type { Relaxation } from '../relaxation/relaxation.js';
export { useWasm } from '../runtime/execution/wasm.js';
export { keyOf } from '../runtime/random/keys.js';
export type { Key } from '../runtime/random/threefry.js';
export { certify as certifySplit } from '../verification/certification/cascade.js';
export type { CertificationOptions } from '../verification/certification/options.js';
export type { CertificationReport, Verdict } from '../verification/certification/verdict.js';
