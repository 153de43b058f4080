/** For tests: ONNX models of a few nodes from `x` to `y`, with random constants. */
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from '../formats/onnx.js';
import { deriveKey, keyOf } from '../runtime/random/keys.js';
import { randomNormals } from './onnx-runs.js';

const KEY = keyOf('onnx models');

let drawn = 0;
/** A constant of random numbers; positive ones on request. */
export function random(
  name: string,
  shape: readonly number[],
  { positive = false, double = false } = {},
): OnnxTensor {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = randomNormals(deriveKey(KEY, drawn++, 0), size, 0.5).map((v) =>
    positive ? 0.5 + Math.abs(v) : v,
  );
  return { name, shape, data: double ? Float64Array.from(values) : values };
}
export const integers = (name: string, values: readonly number[]): OnnxTensor => ({
  name,
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
});

export const op = (
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: Record<string, OnnxAttribute> = {},
): OnnxNode => ({
  opType,
  name: `the ${output}`,
  inputs,
  outputs: [output],
  attributes,
});

export interface Built {
  readonly input: readonly (number | string)[];
  readonly nodes: readonly OnnxNode[];
  readonly constants?: readonly OnnxTensor[];
  readonly opset?: number;
  readonly double?: boolean;
  readonly changes?: Partial<OnnxModel>;
}
/** A model from `x` to `y`. */
export const model = ({
  input,
  nodes,
  constants = [],
  opset = 13,
  double = false,
  changes = {},
}: Built): OnnxModel => ({
  irVersion: 8,
  opset,
  producer: 'test',
  description: '',
  metadata: {},
  name: 'built',
  inputs: [{ name: 'x', type: double ? 'DOUBLE' : 'FLOAT', shape: input }],
  outputs: [{ name: 'y', type: double ? 'DOUBLE' : 'FLOAT' }],
  nodes,
  initializers: constants,
  ...changes,
});

/** Constants and node of a batch normalisation. */
export const norm = (channels: number) => [
  random('g', [channels]),
  random('be', [channels]),
  random('m', [channels]),
  random('v', [channels], { positive: true }),
];
export const batchNorm = (from: string, to: string) =>
  op('BatchNormalization', [from, 'g', 'be', 'm', 'v'], to, { epsilon: { float: 1e-3 } });
