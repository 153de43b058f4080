/**
 * Constants that files compute, most of them for shapes: Constant, Shape, ConstantOfShape, Range, Equal,
 * Where.
 */
import type { OnnxTensor } from '../../formats/onnx.js';
import { batchAxisOf, broadcasted, checkSize, commonShape, sameType } from './arrangement.js';
import { type Constant, sizeOf } from './draft.js';
import {
  type Call,
  constant,
  describeValue,
  fileShape,
  integer,
  integerList,
  type OperatorReader,
  refuse,
  SYMBOLIC_BATCH,
} from './operator.js';

const constantNode: OperatorReader = {
  attributes: ['value', 'value_float', 'value_floats', 'value_int', 'value_ints'],
  read(call) {
    const [attribute, ...others] = Object.values(call.node.attributes);
    if (attribute === undefined || others.length > 0)
      refuse(call, 'one value', `${Object.keys(call.node.attributes).length}`);
    return { kind: 'constant', tensor: constantTensor(call, attribute) };
  },
};

function constantTensor(call: Call, attribute: Call['node']['attributes'][string]): OnnxTensor {
  const name = call.node.outputs[0] ?? '';
  if ('tensor' in attribute) return { ...attribute.tensor, name };
  if ('float' in attribute) return { name, shape: [], data: Float32Array.of(attribute.float) };
  if ('floats' in attribute)
    return { name, shape: [attribute.floats.length], data: Float32Array.from(attribute.floats) };
  if ('int' in attribute) return { name, shape: [], data: BigInt64Array.of(BigInt(attribute.int)) };
  if ('ints' in attribute)
    return { name, shape: [attribute.ints.length], data: BigInt64Array.from(attribute.ints, BigInt) };
  return refuse(call, 'numbers', Object.keys(attribute).join());
}

/**
 * Extents as int64; those of a symbolic batch as SYMBOLIC_BATCH, which Reshape, Expand and Slice understand.
 */
const shapeOf: OperatorReader = {
  attributes: ['end', 'start'],
  read(call) {
    const value = call.inputs[0] ?? refuse(call, 'an input', 'none');
    const batch = batchAxisOf(call, value);
    const extents = fileShape(value).map((extent, axis) =>
      axis === batch ? (call.batch ?? SYMBOLIC_BATCH) : extent,
    );
    const part = extents.slice(integer(call, 'start', 0), integer(call, 'end', extents.length));
    return {
      kind: 'constant',
      tensor: { name: '', shape: [part.length], data: BigInt64Array.from(part, BigInt) },
    };
  },
};

/** One value everywhere. It is the same for all images, so that 1 will do for the batch. */
const constantOfShape: OperatorReader = {
  attributes: ['value'],
  read(call) {
    const shape = integerList(call, 0).map((extent) => (extent === SYMBOLIC_BATCH ? 1 : extent));
    if (shape.some((extent) => extent < 0)) refuse(call, 'extents ≥ 0', `[${shape.join(',')}]`);
    checkSize(call, undefined, shape);
    const { value } = call.node.attributes;
    if (value !== undefined && !('tensor' in value))
      refuse(call, 'attribute value to be a tensor', Object.keys(value).join());
    const data = value?.tensor.data ?? Float32Array.of(0);
    return {
      kind: 'constant',
      tensor: {
        name: '',
        shape,
        data: sameType(data, new Array<number>(sizeOf(shape)).fill(Number(data[0] ?? 0))),
      },
    };
  },
};

const range: OperatorReader = {
  attributes: [],
  read(call) {
    const { data } = constant(call, 0);
    const [start, limit, delta] = [0, 1, 2].map((index) => Number(constant(call, index).data[0])) as [
      number,
      number,
      number,
    ];
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    if (!Number.isSafeInteger(count) || [start, limit, delta].includes(SYMBOLIC_BATCH))
      refuse(call, 'a range of fixed length', `${start} to ${limit} by ${delta}`);
    checkSize(call, undefined, [count]);
    const values = Array.from({ length: count }, (_, i) => start + i * delta);
    return { kind: 'constant', tensor: { name: '', shape: [count], data: sameType(data, values) } };
  },
};

/** Constant inputs as numbers at each place of their common extents. */
function together(
  call: Call,
  count: number,
): { shape: readonly number[]; values: readonly (readonly number[])[] } {
  if (call.inputs.length !== count) refuse(call, `${count} inputs`, `${call.inputs.length}`);
  const constants = call.inputs.map(
    (_, index): Constant => ({ kind: 'constant', tensor: constant(call, index) }),
  );
  const shape =
    commonShape(constants.map(fileShape)) ??
    refuse(call, 'extents that broadcast', call.inputs.map(describeValue).join(' and '));
  const numbers = (value: Constant) =>
    Array.from(
      (broadcasted(call, value, shape) as Constant).tensor.data as ArrayLike<number | bigint>,
      Number,
    );
  return { shape, values: constants.map(numbers) };
}

const equal: OperatorReader = {
  attributes: [],
  read(call) {
    const { shape, values } = together(call, 2);
    const [a, b] = values as [number[], number[]];
    // A symbolic batch may equal any extent but the −1 that exporters ask for.
    if ([a, b].some((side, k) => side.some((v, i) => v === SYMBOLIC_BATCH && (k === 0 ? b : a)[i] !== -1)))
      refuse(call, 'comparisons that do not depend on the batch', 'its symbolic extent');
    return {
      kind: 'constant',
      tensor: { name: '', shape, data: Uint8Array.from(a, (v, i) => (v === b[i] ? 1 : 0)) },
    };
  },
};

const where: OperatorReader = {
  attributes: [],
  read(call) {
    const { shape, values } = together(call, 3);
    const [condition, a, b] = values as [number[], number[], number[]];
    const chosen = condition.map((holds, i) => (holds ? (a[i] as number) : (b[i] as number)));
    return { kind: 'constant', tensor: { name: '', shape, data: sameType(constant(call, 1).data, chosen) } };
  },
};

export const constantOperators: Readonly<Record<string, OperatorReader>> = {
  Constant: constantNode,
  Shape: shapeOf,
  ConstantOfShape: constantOfShape,
  Equal: equal,
  Range: range,
  Where: where,
};
