/** Matrix products: two matrices (Gemm, either transposed) and stacks of them. */
import { apply, fail, type Operator, type Shape, sizeOf, type Tensor } from '../tensor.js';
import { sumTo } from './broadcasting.js';
import { isMatrixTranspose, transpose } from './layout.js';

interface GemmAttributes {
  transA: boolean;
  transB: boolean;
}
const gemmAttributes = (node: Tensor): GemmAttributes => node.attributes as unknown as GemmAttributes;

/** How many times longer than its wide side a product's inner axis is before it is turned round. */
const LONG_INNER = 4;
const innerExtent = (node: Tensor): number => (node.inputs[0] as Tensor).shape[gemmAttributes(node).transA ? 0 : 1] as number;

const gemmOperator: Operator = {
  name: 'Gemm',
  infer(inputs, attributes) {
    const [a, b, c] = inputs as [Tensor, Tensor, Tensor | undefined];
    const { transA, transB } = attributes as unknown as GemmAttributes;
    const notation = `matrices ${transA ? 'Aᵀ' : 'A'}·${transB ? 'Bᵀ' : 'B'} whose inner extents agree`;
    if (a.shape.length !== 2 || b.shape.length !== 2 || a.dtype !== b.dtype) fail('Gemm', notation, inputs);
    const [m, k] = (transA ? [a.shape[1], a.shape[0]] : a.shape) as [number, number];
    const [k2, n] = (transB ? [b.shape[1], b.shape[0]] : b.shape) as [number, number];
    if (k !== k2) fail('Gemm', notation, inputs);
    if (c !== undefined && !(c.shape.length === 2 && (c.shape[0] === m || c.shape[0] === 1) && (c.shape[1] === n || c.shape[1] === 1)))
      fail('Gemm', `an addend that broadcasts to [${m},${n}]`, inputs);
    return { shape: [m, n], dtype: a.dtype };
  },
  encode(node, inputs, emit) {
    const { transA, transB } = gemmAttributes(node);
    const product = (operands: readonly string[], a: boolean, b: boolean) =>
      emit.node('Gemm', operands, { transA: { int: a ? 1 : 0 }, transB: { int: b ? 1 : 0 } });
    const [m, n] = node.shape as [number, number];
    // A weight gradient, few rows times many columns over a long inner axis, is up to twice as fast the other way round.
    if (inputs.length === 2 && !transA && transB && m < n && innerExtent(node) > LONG_INNER * n) {
      const turned = product([inputs[1] as string, inputs[0] as string], false, true);
      // As a stack: ORT would fuse the transposition of a matrix back into the product.
      const stack = emit.node('Reshape', [turned, emit.constant([BigInt(n), BigInt(m), 1n], [3])]);
      const swapped = emit.node('Transpose', [stack], { perm: { ints: [1, 0, 2] } });
      return emit.node('Reshape', [swapped, emit.constant([BigInt(m), BigInt(n)], [2])]);
    }
    return product(inputs, transA, transB);
  },
  gradient(node, g) {
    const { transA, transB } = gemmAttributes(node);
    const [a, b, c] = node.inputs as [Tensor, Tensor, Tensor | undefined];
    const ga = transA ? gemm(b, g, transB, true) : gemm(g, b, false, !transB);
    const gb = transB ? gemm(g, a, true, transA) : gemm(a, g, !transA, false);
    return c === undefined ? [ga, gb] : [ga, gb, sumTo(g, c.shape)];
  },
  evaluate(node, [a, b, c]) {
    const { transA, transB } = gemmAttributes(node);
    const [m, n] = node.shape as [number, number];
    const inner = innerExtent(node);
    const out = new Float64Array(m * n);
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let s = 0;
        for (let k = 0; k < inner; k++)
          s += ((a as Float64Array)[transA ? k * m + i : i * inner + k] as number) * ((b as Float64Array)[transB ? j * inner + k : k * n + j] as number);
        if (c !== undefined) {
          const [rows, columns] = (node.inputs[2] as Tensor).shape as [number, number];
          s += c[(rows === 1 ? 0 : i) * columns + (columns === 1 ? 0 : j)] as number;
        }
        out[i * n + j] = s;
      }
    return out;
  },
};

/** A·B of two matrices, each optionally transposed without a copy. */
export function gemm(a: Tensor, b: Tensor, transA = false, transB = false): Tensor {
  if (isMatrixTranspose(a)) return gemm(a.inputs[0] as Tensor, b, !transA, transB);
  if (isMatrixTranspose(b)) return gemm(a, b.inputs[0] as Tensor, transA, !transB);
  return apply(gemmOperator, [a, b], { transA, transB });
}
/** A·B + c, c broadcast from [m,1], [1,n] or [1,1]: one pass fewer over the result. */
export const gemmAdd = (a: Tensor, b: Tensor, c: Tensor): Tensor => apply(gemmOperator, [a, b, c], { transA: false, transB: false });
export const isGemm = (tensor: Tensor): boolean => tensor.operator === gemmOperator;

const batchedOperator: Operator = {
  name: 'MatMul',
  infer(inputs) {
    const [a, b] = inputs as [Tensor, Tensor];
    const fits = a.shape.length === 3 && b.shape.length === 3 && a.shape[0] === b.shape[0] && a.shape[2] === b.shape[1] && a.dtype === b.dtype;
    if (!fits) fail('MatMul', 'stacks [s,m,k] and [s,k,n]', inputs);
    return { shape: [a.shape[0], a.shape[1], b.shape[2]] as Shape, dtype: a.dtype };
  },
  encode: (_, inputs, emit) => emit.node('MatMul', inputs),
  gradient(node, g) {
    const [a, b] = node.inputs as [Tensor, Tensor];
    return [batchedMatmul(g, swap(b)), batchedMatmul(swap(a), g)];
  },
  evaluate(node, [a, b]) {
    const [s, m, n] = node.shape as [number, number, number];
    const k = (node.inputs[0] as Tensor).shape[2] as number;
    const out = new Float64Array(sizeOf(node.shape));
    for (let t = 0; t < s; t++)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++)
          for (let l = 0; l < k; l++)
            out[(t * m + i) * n + j] =
              (out[(t * m + i) * n + j] as number) +
              ((a as Float64Array)[(t * m + i) * k + l] as number) * ((b as Float64Array)[(t * k + l) * n + j] as number);
    return out;
  },
};
const swap = (x: Tensor): Tensor => transpose(x, [0, 2, 1]);
/** Products of two stacks of matrices, [s,m,k]·[s,k,n] → [s,m,n]. */
export const batchedMatmul = (a: Tensor, b: Tensor): Tensor => apply(batchedOperator, [a, b]);
