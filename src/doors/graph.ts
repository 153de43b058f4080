/** `tautnet/graph`: symbolic tensors over ONNX operators, their derivatives and their encoding. */

export type { EncodedProgram, EncodingOptions } from '../graph/encode.js';
export { encodeProgram } from '../graph/encode.js';
export { evaluate } from '../graph/evaluate.js';
export type { Footprint } from '../graph/footprint.js';
export { gradient, vectorJacobian } from '../graph/gradient.js';
export type { Lifting } from '../graph/lift.js';
export { add, addAll, div, mul, neg, sub } from '../graph/operators/arithmetic.js';
export { broadcastTo, sum, total } from '../graph/operators/broadcasting.js';
export { toFloat, toInt } from '../graph/operators/casting.js';
export {
  abs,
  greater,
  maximum,
  minimum,
  relu,
  sign,
  square,
  step,
  where,
} from '../graph/operators/comparison.js';
export type { GradientRule } from '../graph/operators/custom-gradient.js';
export { withGradient } from '../graph/operators/custom-gradient.js';
export { reduceMax } from '../graph/operators/extrema.js';
export type { RowTable } from '../graph/operators/indexing.js';
export { gatherRows, scatterRows, takeRows } from '../graph/operators/indexing.js';
export { concat, pad, reshape, slice, transpose } from '../graph/operators/layout.js';
export { asTensor, constant, input, ones, zeros } from '../graph/operators/leaves.js';
export { batchedMatmul, gemm, gemmAdd } from '../graph/operators/matrix.js';
export { stopGradient } from '../graph/operators/stop-gradient.js';
export { exp, log, logSumExp, sigmoid, sqrt, tanh } from '../graph/operators/transcendental.js';
export type {
  Attributes,
  AttributeValue,
  DType,
  Emitter,
  FloatType,
  HostData,
  Operator,
  Shape,
  Tensor,
} from '../graph/tensor.js';
export { GraphError } from '../graph/tensor.js';
