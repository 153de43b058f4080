/**
 * Operators that move values without changing them: reshape, transpose, slice, concatenate, pad with zero
 * rows.
 */
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

const shapeConstant = (shape: Shape): bigint[] => shape.map((extent) => BigInt(extent));

const reshapeOperator: Operator = {
  name: 'Reshape',
  infer([x], attributes) {
    const shape = attributes.shape as Shape;
    if (sizeOf(shape) !== sizeOf((x as Tensor).shape))
      fail('Reshape', `${sizeOf(shape)} values for [${shape.join(',')}]`, [x as Tensor]);
    return { shape, dtype: (x as Tensor).dtype };
  },
  encode: (node, [x], emit) =>
    emit.node('Reshape', [x as string, emit.constant(shapeConstant(node.shape), [node.shape.length])]),
  gradient: (node, g) => [reshape(g, (node.inputs[0] as Tensor).shape)],
  lift: (node, [x]) => reshape(x as Tensor, [(x as Tensor).shape[0] as number, ...node.shape]),
  evaluate: (_, [x]) => (x as Float64Array).slice(),
};

/** The same values in the same order under another shape. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const source = x.operator === reshapeOperator ? (x.inputs[0] as Tensor) : x;
  return sameShape(source.shape, shape) ? source : apply(reshapeOperator, [source], { shape });
}
export const isReshape = (tensor: Tensor): boolean => tensor.operator === reshapeOperator;

const transposeOperator: Operator = {
  name: 'Transpose',
  infer([x], attributes) {
    const order = attributes.order as number[];
    const shape = (x as Tensor).shape;
    if (order.length !== shape.length || [...order].sort((a, b) => a - b).some((axis, i) => axis !== i))
      fail('Transpose', `an input whose axes [${order.join(',')}] permutes`, [x as Tensor]);
    return { shape: order.map((axis) => shape[axis] as number), dtype: (x as Tensor).dtype };
  },
  encode: (node, [x], emit) =>
    emit.node('Transpose', [x as string], { perm: { ints: node.attributes.order as number[] } }),
  gradient(node, g) {
    const order = node.attributes.order as number[];
    return [
      transpose(
        g,
        order.map((_, axis) => order.indexOf(axis)),
      ),
    ];
  },
  lift: (node, [x]) =>
    transpose(x as Tensor, [0, ...(node.attributes.order as number[]).map((axis) => axis + 1)]),
  evaluate(node, [x]) {
    const order = node.attributes.order as number[];
    const from = (node.inputs[0] as Tensor).shape;
    const strides = from.map((_, i) => sizeOf(from.slice(i + 1)));
    const out = new Float64Array(sizeOf(node.shape));
    out.forEach((_, index) => {
      let rest = index;
      let offset = 0;
      for (let i = node.shape.length - 1; i >= 0; i--) {
        const extent = node.shape[i] as number;
        offset += (rest % extent) * (strides[order[i] as number] as number);
        rest = Math.floor(rest / extent);
      }
      out[index] = (x as Float64Array)[offset] as number;
    });
    return out;
  },
};

/** Axes permuted: output axis i is input axis order[i]; by default a matrix's two axes swap. */
export function transpose(x: Tensor, order: readonly number[] = [1, 0]): Tensor {
  return order.every((axis, i) => axis === i) && order.length === x.shape.length
    ? x
    : apply(transposeOperator, [x], { order });
}
export const isMatrixTranspose = (tensor: Tensor): boolean =>
  tensor.operator === transposeOperator && tensor.shape.length === 2;

const sliceOperator: Operator = {
  name: 'Slice',
  infer([x], attributes) {
    const { axis, start, end } = attributes as { axis: number; start: number; end: number };
    const extent = (x as Tensor).shape[axis];
    if (extent === undefined || start < 0 || end > extent || start >= end)
      fail('Slice', `axis ${axis} to reach ${start}..${end}`, [x as Tensor]);
    return {
      shape: (x as Tensor).shape.map((e, i) => (i === axis ? end - start : e)),
      dtype: (x as Tensor).dtype,
    };
  },
  encode(node, [x], emit) {
    const one = (value: unknown) => emit.constant([BigInt(value as number)], [1]);
    const { axis, start, end } = node.attributes;
    return emit.node('Slice', [x as string, one(start), one(end), one(axis)]);
  },
  gradient(node, g) {
    const { axis, start, end } = node.attributes as { axis: number; start: number; end: number };
    return [pad(g, axis, start, ((node.inputs[0] as Tensor).shape[axis] as number) - end)];
  },
  lift(node, [x]) {
    const { axis, start, end } = node.attributes as { axis: number; start: number; end: number };
    return slice(x as Tensor, axis + 1, start, end);
  },
  evaluate(node, [x]) {
    const { axis, start, end } = node.attributes as { axis: number; start: number; end: number };
    const from = (node.inputs[0] as Tensor).shape;
    const block = sizeOf(from.slice(axis + 1));
    const out = new Float64Array(sizeOf(node.shape));
    for (let o = 0; o < sizeOf(from.slice(0, axis)); o++) {
      const base = o * (from[axis] as number) * block;
      out.set(
        (x as Float64Array).subarray(base + start * block, base + end * block),
        o * (end - start) * block,
      );
    }
    return out;
  },
};

/** Entries start ≤ i < end along one axis. */
export const slice = (x: Tensor, axis: number, start: number, end: number): Tensor =>
  start === 0 && end === x.shape[axis] ? x : apply(sliceOperator, [x], { axis, start, end });

const concatOperator: Operator = {
  name: 'Concat',
  infer(inputs, attributes) {
    const axis = attributes.axis as number;
    const first = inputs[0] as Tensor;
    const fits = inputs.every(
      (t) =>
        t.dtype === first.dtype &&
        t.shape.length === first.shape.length &&
        t.shape.every((e, i) => i === axis || e === first.shape[i]),
    );
    if (!fits || first.shape[axis] === undefined) fail('Concat', `shapes equal but for axis ${axis}`, inputs);
    const extent = inputs.reduce((total, t) => total + (t.shape[axis] as number), 0);
    return { shape: first.shape.map((e, i) => (i === axis ? extent : e)), dtype: first.dtype };
  },
  encode: (node, inputs, emit) =>
    emit.node('Concat', inputs, { axis: { int: node.attributes.axis as number } }),
  gradient(node, g) {
    const axis = node.attributes.axis as number;
    let start = 0;
    return node.inputs.map((x) => {
      const end = start + (x.shape[axis] as number);
      const part = slice(g, axis, start, end);
      start = end;
      return part;
    });
  },
  liftsAll: true,
  lift: (node, inputs) => concat(inputs, (node.attributes.axis as number) + 1),
  evaluate(node, inputs) {
    const axis = node.attributes.axis as number;
    const out = new Float64Array(sizeOf(node.shape));
    const block = sizeOf(node.shape.slice(axis));
    let offset = 0;
    node.inputs.forEach((x, k) => {
      const part = sizeOf(x.shape.slice(axis));
      for (let o = 0; o * block < out.length; o++)
        out.set((inputs[k] as Float64Array).subarray(o * part, (o + 1) * part), o * block + offset);
      offset += part;
    });
    return out;
  },
};

/** Tensors joined along an axis. */
export const concat = (inputs: readonly Tensor[], axis: number): Tensor =>
  inputs.length === 1 ? (inputs[0] as Tensor) : apply(concatOperator, inputs, { axis });

const padOperator: Operator = {
  name: 'Pad',
  infer([x], attributes) {
    const { axis, before, after } = attributes as { axis: number; before: number; after: number };
    if ((x as Tensor).shape[axis] === undefined || before < 0 || after < 0)
      fail('Pad', `an axis ${axis} and no negative padding`, [x as Tensor]);
    return {
      shape: (x as Tensor).shape.map((e, i) => (i === axis ? e + before + after : e)),
      dtype: (x as Tensor).dtype,
    };
  },
  encode(node, [x], emit) {
    // Concat with constant zeros beats ORT's Pad; the zeros are shared by all nodes of the same shape.
    const { axis, before, after } = node.attributes as { axis: number; before: number; after: number };
    const block = (extent: number) => {
      const shape = node.shape.map((e, i) => (i === axis ? extent : e));
      return emit.constant(hostArray(node.dtype, sizeOf(shape)), shape);
    };
    const parts = [...(before > 0 ? [block(before)] : []), x as string, ...(after > 0 ? [block(after)] : [])];
    return emit.node('Concat', parts, { axis: { int: axis } });
  },
  gradient(node, g) {
    const { axis, before } = node.attributes as { axis: number; before: number };
    return [slice(g, axis, before, before + ((node.inputs[0] as Tensor).shape[axis] as number))];
  },
  lift(node, [x]) {
    const { axis, before, after } = node.attributes as { axis: number; before: number; after: number };
    return pad(x as Tensor, axis + 1, before, after);
  },
  evaluate(node, [x]) {
    const { axis, before } = node.attributes as { axis: number; before: number };
    const from = (node.inputs[0] as Tensor).shape;
    const out = new Float64Array(sizeOf(node.shape));
    const block = sizeOf(from.slice(axis));
    const outBlock = sizeOf(node.shape.slice(axis));
    const lead = before * sizeOf(from.slice(axis + 1));
    for (let o = 0; o * outBlock < out.length; o++)
      out.set((x as Float64Array).subarray(o * block, (o + 1) * block), o * outBlock + lead);
    return out;
  },
};

/** Zeros before and after along one axis. */
export const pad = (x: Tensor, axis: number, before: number, after: number): Tensor =>
  before === 0 && after === 0 ? x : apply(padOperator, [x], { axis, before, after });
