/** Symbolic tensors over ONNX operators, their derivatives and their encoding. */
export * from './encode.js';
export * from './evaluate.js';
export * from './gradient.js';
export * from './lift.js';
export * from './operators/arithmetic.js';
export * from './operators/broadcasting.js';
export * from './operators/casting.js';
export * from './operators/comparison.js';
export * from './operators/custom-gradient.js';
export * from './operators/extrema.js';
export * from './operators/indexing.js';
export * from './operators/layout.js';
export * from './operators/leaves.js';
export * from './operators/matrix.js';
export * from './operators/stop-gradient.js';
export * from './operators/transcendental.js';
export * from './tensor.js';
