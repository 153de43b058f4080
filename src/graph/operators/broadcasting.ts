/** Broadcasting and its adjoint, summation: each is the other's derivative. */
import { broadcastShapes, broadcastsInto, forEachBroadcast } from '../broadcast.js';
import { reduce, reducedShape } from '../reduce.js';
import {
  apply,
  fail,
  hostArray,
  type Operator,
  type Shape,
  sameShape,
  sizeOf,
  type Tensor,
} from '../tensor.js';
import { reshape } from './layout.js';
import { aligned } from './member-axis.js';

const shapeConstant = (shape: Shape): bigint[] => shape.map((extent) => BigInt(extent));

const broadcastOperator: Operator = {
  name: 'Expand',
  infer([x], attributes) {
    const shape = attributes.shape as Shape;
    if (!broadcastsInto((x as Tensor).shape, shape))
      fail('Expand', `a shape that broadcasts to [${shape.join(',')}]`, [x as Tensor]);
    return { shape, dtype: (x as Tensor).dtype };
  },
  encode: (node, [x], emit) =>
    emit.node('Expand', [x as string, emit.constant(shapeConstant(node.shape), [node.shape.length])]),
  gradient: (node, g) => [sumTo(g, (node.inputs[0] as Tensor).shape)],
  lift: (node, inputs, lifted) =>
    broadcastTo(aligned(node, inputs, lifted)[0] as Tensor, [
      (inputs[0] as Tensor).shape[0] as number,
      ...node.shape,
    ]),
  evaluate(node, [x]) {
    const out = new Float64Array(sizeOf(node.shape));
    forEachBroadcast(node.shape, [(node.inputs[0] as Tensor).shape], (i, [j]) => {
      out[i] = (x as Float64Array)[j as number] as number;
    });
    return out;
  },
};

/** Repeats along axes of extent 1 (NumPy's broadcasting). */
export const broadcastTo = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply(broadcastOperator, [x], { shape });

/** What a broadcast repeats; x itself where it is none. */
export const beforeBroadcast = (x: Tensor): Tensor =>
  x.operator === broadcastOperator ? (x.inputs[0] as Tensor) : x;

/** Operands of the named operator without broadcasts that it does itself: one pass over memory fewer each. */
export function implicitBroadcast(operator: string, inputs: readonly Tensor[]): readonly Tensor[] {
  const bare = inputs.map(beforeBroadcast);
  const shape = broadcastShapes(operator, inputs);
  const kept = [...inputs];
  for (const [i, x] of bare.entries()) {
    const trial = kept.map((y, k) => (k === i ? x : y));
    if (sameShape(broadcastShapes(operator, trial), shape)) kept[i] = x;
  }
  return kept;
}

/** The adjoint of broadcasting: sums over the axes along which `shape` was repeated. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < lead || (shape[axis - lead] === 1 && x.shape[axis] !== 1));
  return reshape(sum(x, axes), shape);
}

const sumOperator: Operator = {
  name: 'ReduceSum',
  infer: ([x], attributes) => ({
    shape: reducedShape('ReduceSum', x as Tensor, attributes.axes as number[]),
    dtype: (x as Tensor).dtype,
  }),
  encode(node, [x], emit) {
    const axes = node.attributes.axes as number[];
    const from = (node.inputs[0] as Tensor).shape;
    const lead = axes.length;
    if (axes.every((axis, i) => axis === i) && lead < from.length) {
      // ORT reduces leading axes slowly; a product with a row of ones is a fast Gemm.
      const rows = sizeOf(from.slice(0, lead));
      const ones = emit.constant(hostArray(node.dtype, rows).fill(1), [1, rows]);
      const flat =
        from.length === 2
          ? (x as string)
          : emit.node('Reshape', [x as string, emit.constant([BigInt(rows), -1n], [2])]);
      const product = emit.node('MatMul', [ones, flat]);
      return emit.node('Reshape', [
        product,
        emit.constant(
          node.shape.map((e) => BigInt(e)),
          [node.shape.length],
        ),
      ]);
    }
    return emit.node(
      'ReduceSum',
      [
        x as string,
        emit.constant(
          axes.map((axis) => BigInt(axis)),
          [axes.length],
        ),
      ],
      { keepdims: { int: 1 } },
    );
  },
  gradient: (node, g) => [broadcastTo(g, (node.inputs[0] as Tensor).shape)],
  lift: (node, [x]) =>
    sum(
      x as Tensor,
      (node.attributes.axes as number[]).map((axis) => axis + 1),
    ),
  evaluate: (node, [x]) => reduce(node, x as Float64Array, 0, (a, b) => a + b),
};

/** Σ over `axes` (all by default), each kept with extent 1. */
export function sum(x: Tensor, axes: readonly number[] = x.shape.map((_, i) => i)): Tensor {
  const real = axes.filter((axis) => x.shape[axis] !== 1);
  return real.length === 0 ? x : apply(sumOperator, [x], { axes: [...real].sort((a, b) => a - b) });
}

/** Σ of everything, shape []. */
export const total = (x: Tensor): Tensor => reshape(sum(reshape(x, [sizeOf(x.shape)])), []);
