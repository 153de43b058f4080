/** Matrix products: two matrices (Gemm, either transposed) and stacks of them. */
import { commonShape, forEachBroadcast } from '../broadcast.js';
import { apply, fail, type Operator, type Shape, sizeOf, type Tensor } from '../tensor.js';
import { add } from './arithmetic.js';
import { sumTo } from './broadcasting.js';
import { isMatrixTranspose, reshape, transpose } from './layout.js';
import { aligned } from './member-axis.js';

interface GemmAttributes {
  transA: boolean;
  transB: boolean;
}
const gemmAttributes = (node: Tensor): GemmAttributes => node.attributes as unknown as GemmAttributes;

/** How many times longer than its wide side a product's inner axis is before it is turned round. */
const LONG_INNER = 4;
const innerExtent = (node: Tensor): number =>
  (node.inputs[0] as Tensor).shape[gemmAttributes(node).transA ? 0 : 1] as number;

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
    if (
      c !== undefined &&
      !(
        c.shape.length === 2 &&
        (c.shape[0] === m || c.shape[0] === 1) &&
        (c.shape[1] === n || c.shape[1] === 1)
      )
    )
      fail('Gemm', `an addend that broadcasts to [${m},${n}]`, inputs);
    return { shape: [m, n], dtype: a.dtype };
  },
  encode(node, inputs, emit) {
    const { transA, transB } = gemmAttributes(node);
    const product = (operands: readonly string[], a: boolean, b: boolean) =>
      emit.node('Gemm', operands, { transA: { int: a ? 1 : 0 }, transB: { int: b ? 1 : 0 } });
    const [m, n] = node.shape as [number, number];
    // A weight gradient, few rows times many columns over a long inner axis, is up to twice as fast the other
    // way round.
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
  lift(node, [a, b, c], [liftedA, liftedB, liftedC]) {
    const { transA, transB } = gemmAttributes(node);
    const [m, n] = node.shape as [number, number];
    const product = liftedProduct(
      a as Tensor,
      liftedA as boolean,
      transA,
      b as Tensor,
      liftedB as boolean,
      transB,
      m,
      n,
    );
    return c === undefined ? product : add(product, liftedC ? c : reshape(c, [1, ...c.shape]));
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
          s +=
            ((a as Float64Array)[transA ? k * m + i : i * inner + k] as number) *
            ((b as Float64Array)[transB ? j * inner + k : k * n + j] as number);
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
export const gemmAdd = (a: Tensor, b: Tensor, c: Tensor): Tensor =>
  apply(gemmOperator, [a, b, c], { transA: false, transB: false });
export const isGemm = (tensor: Tensor): boolean => tensor.operator === gemmOperator;

/**
 * A product whose factors may have members: [members,m,n]. Members share a right factor in one product of all
 * their rows.
 */
function liftedProduct(
  a: Tensor,
  liftedA: boolean,
  transA: boolean,
  b: Tensor,
  liftedB: boolean,
  transB: boolean,
  m: number,
  n: number,
): Tensor {
  if (!liftedA && !liftedB) return gemm(a, b, transA, transB);
  const left = transA ? swap(a) : a;
  if (liftedB) return batchedMatmul(left, transB ? swap(b) : b);
  const [members, , inner] = left.shape as [number, number, number];
  return reshape(gemm(reshape(left, [members * m, inner]), b, false, transB), [members, m, n]);
}

/** Axes of a stack before those of its matrices. */
const stackOf = ({ shape }: Tensor): Shape => shape.slice(0, -2);

const batchedOperator: Operator = {
  name: 'MatMul',
  infer(inputs) {
    const [a, b] = inputs as [Tensor, Tensor];
    const fits =
      a.shape.length > 1 && b.shape.length > 1 && a.shape.at(-1) === b.shape.at(-2) && a.dtype === b.dtype;
    const stack = fits ? commonShape([stackOf(a), stackOf(b)]) : undefined;
    if (stack === undefined) fail('MatMul', 'stacks […,m,k] and […,k,n]', inputs);
    return { shape: [...stack, a.shape.at(-2) as number, b.shape.at(-1) as number], dtype: a.dtype };
  },
  encode: (_, inputs, emit) => emit.node('MatMul', inputs),
  gradient(node, g) {
    const [a, b] = node.inputs as [Tensor, Tensor];
    return [sumTo(batchedMatmul(g, swap(b)), a.shape), sumTo(batchedMatmul(swap(a), g), b.shape)];
  },
  lift: (node, inputs, lifted) => apply(node.operator, aligned(node, inputs, lifted)),
  evaluate(node, [a, b]) {
    const [m, n] = node.shape.slice(-2) as [number, number];
    const k = (node.inputs[0] as Tensor).shape.at(-1) as number;
    const out = new Float64Array(sizeOf(node.shape));
    const stack = stackOf(node);
    forEachBroadcast(stack, node.inputs.map(stackOf), (t, [s, r]) => {
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++)
          for (let l = 0; l < k; l++)
            out[(t * m + i) * n + j] =
              (out[(t * m + i) * n + j] as number) +
              ((a as Float64Array)[((s as number) * m + i) * k + l] as number) *
                ((b as Float64Array)[((r as number) * k + l) * n + j] as number);
    });
    return out;
  },
};
/** The last two axes swapped. */
function swap(x: Tensor): Tensor {
  const last = x.shape.length - 1;
  return transpose(x, [...Array.from({ length: last - 1 }, (_, axis) => axis), last, last - 1]);
}
/** Products of two stacks of matrices, […,m,k]·[…,k,n] → […,m,n]; the axes before the matrices broadcast. */
export const batchedMatmul = (a: Tensor, b: Tensor): Tensor => apply(batchedOperator, [a, b]);
