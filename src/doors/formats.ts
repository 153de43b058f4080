/** `tautnet/formats`: ONNX, VNN-LIB, safetensors, IDX; bytes and text in, plain data out. */
export { writeFileAtomic } from '../formats/atomic-file.js';
export type { Counterexample } from '../formats/counterexample.js';
export { decodeCounterexample, encodeCounterexample } from '../formats/counterexample.js';
export { FileError } from '../formats/file-error.js';
export { FormatError } from '../formats/format-error.js';
export type { IdxArray } from '../formats/idx.js';
export { decodeIdx } from '../formats/idx.js';
export type { OnnxAttribute, OnnxModel, OnnxNode, OnnxValue } from '../formats/onnx.js';
export { decodeOnnx, encodeOnnx } from '../formats/onnx.js';
export type { OnnxTensor } from '../formats/onnx-tensor.js';
export type { ReadLimits } from '../formats/read-limited.js';
export type { Safetensors, SafetensorsArray, SafetensorsDType } from '../formats/safetensors.js';
export { decodeSafetensors, encodeSafetensors } from '../formats/safetensors.js';
export type { Constraint, LinearConstraint, VnnlibProperty } from '../formats/vnnlib/constraint.js';
export type {
  ElementType,
  NetworkDeclaration,
  TensorDeclaration,
  TensorKind,
} from '../formats/vnnlib/tensor.js';
export { encodeVnnlib, parseVnnlib, readVnnlib } from '../formats/vnnlib.js';
