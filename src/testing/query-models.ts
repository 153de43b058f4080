/**
 * Models for the networks of random queries, and what they compute by plain loops. Weights are multiples of
 * 1/4, so that float32 computes all of it exactly at inputs that are.
 *
 *   h = W x + b,  output k = W_k relu(h) + b_k
 *
 * with all inputs one after another as x, and h the hidden tensor where the network has one.
 */
import { encodeOnnx, type OnnxNode, type OnnxTensor } from '../formats/onnx.js';
import { deriveKey, keyOf, uniforms } from '../runtime/random/keys.js';
import { op } from './onnx-models.js';
import type { TestNetwork } from './vnnlib-queries.js';

export interface TestModel {
  readonly bytes: Uint8Array;
  /** Hidden tensor and outputs, flat, of all inputs, flat. */
  compute(x: readonly number[]): number[];
}

/** Width of h where no hidden tensor says it. */
const WIDTH = 3;
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Rows of W x + b. */
const affine = (weights: ArrayLike<number>, bias: ArrayLike<number>, x: readonly number[]): number[] =>
  Array.from(bias, (b, i) =>
    x.reduce((sum, value, j) => sum + (weights[i * x.length + j] as number) * value, b),
  );

const reshape = (
  from: string,
  to: string,
  shape: readonly number[],
): { node: OnnxNode; constant: OnnxTensor } => ({
  node: op('Reshape', [from, `extents ${to}`], to),
  constant: { name: `extents ${to}`, shape: [shape.length], data: BigInt64Array.from(shape, BigInt) },
});

/** The model of a network, of weights that `seed` draws. */
export function modelOf({ tensors }: TestNetwork, seed: number): TestModel {
  let drawn = 0;
  const quarters = (size: number): Float32Array => {
    const values = new Float32Array(size);
    uniforms(deriveKey(keyOf(seed), drawn++, 0), values);
    return values.map((u) => Math.round(8 * u - 4) / 4);
  };
  const ofKind = (kind: string) => tensors.filter((tensor) => tensor.kind === kind);
  const [inputs, [hidden], outputs] = [ofKind('input'), ofKind('hidden'), ofKind('output')];
  const features = inputs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const width = hidden ? sizeOf(hidden.shape) : WIDTH;
  const [weights, bias] = [quarters(width * features), quarters(width)];
  const heads = outputs.map(({ name, shape }) => {
    const size = sizeOf(shape);
    return { name, shape, weights: quarters(size * width), bias: quarters(size) };
  });
  const constants: OnnxTensor[] = [
    { name: 'W', shape: [width, features], data: weights },
    { name: 'b', shape: [width], data: bias },
    ...heads.flatMap(({ name, weights: w, bias: b }): OnnxTensor[] => [
      { name: `W ${name}`, shape: [b.length, width], data: w },
      { name: `b ${name}`, shape: [b.length], data: b },
    ]),
  ];
  const nodes: OnnxNode[] = [];
  const add = ({ node, constant }: ReturnType<typeof reshape>): void => {
    nodes.push(node);
    constants.push(constant);
  };
  const gemm = (from: string, name: string, to: string): void => {
    nodes.push(op('Gemm', [from, `W${name}`, `b${name}`], to, { transB: { int: 1 } }));
  };
  for (const { name, shape } of inputs) add(reshape(name, `flat ${name}`, [1, sizeOf(shape)]));
  nodes.push(
    op(
      'Concat',
      inputs.map(({ name }) => `flat ${name}`),
      'all',
      { axis: { int: 1 } },
    ),
  );
  gemm('all', '', 'h');
  if (hidden) add(reshape('h', `the ${hidden.name}`, hidden.shape));
  nodes.push(op('Relu', ['h'], 'r'));
  for (const { name, shape } of heads) {
    gemm('r', ` ${name}`, `flat ${name}`);
    add(reshape(`flat ${name}`, name, shape));
  }
  const values = (of: typeof tensors) => of.map(({ name, shape }) => ({ name, type: 'FLOAT', shape }));
  const bytes = encodeOnnx({
    ...{ irVersion: 8, opset: 13, producer: 'test', description: '', metadata: {}, name: 'random' },
    ...{ inputs: values(inputs), outputs: values(outputs), nodes, initializers: constants },
  });
  return {
    bytes,
    compute(x) {
      const h = affine(weights, bias, x);
      const r = h.map((value) => Math.max(0, value));
      return [...(hidden ? h : []), ...heads.flatMap((head) => affine(head.weights, head.bias, r))];
    },
  };
}
