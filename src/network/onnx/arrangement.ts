/**
 * Tensors rearranged by tables of flat indices: constants at once, activations as views. What Transpose,
 * Slice, Pad and the like are read with.
 */
import type { OnnxTensor } from '../../formats/onnx.js';
import { forEachBroadcast } from '../../graph/broadcast.js';
import { type Activation, sizeOf, type Value } from './draft.js';
import {
  type Call,
  checkExtents,
  fileShape,
  imageShape,
  LARGEST_ACTIVATION,
  refuse,
  shapeText,
} from './operator.js';
import { through } from './view.js';

type Data = OnnxTensor['data'];

/** The values in an array of the same type. */
export function sameType(data: Data, values: readonly number[]): Data {
  if (data instanceof BigInt64Array) return BigInt64Array.from(values, BigInt);
  const made =
    data instanceof Uint8Array
      ? Uint8Array
      : data instanceof Int32Array
        ? Int32Array
        : data instanceof Float64Array
          ? Float64Array
          : Float32Array;
  return made.from(values);
}

/**
 * The axis of the batch among a value's axes, where images have to stay apart; −1 where they need not, and
 * for constants.
 */
export const batchAxisOf = ({ batch }: Call, value: Value): number =>
  value.kind === 'constant' || batch === 1 ? -1 : (value.batchAxis ?? 0);

/**
 * A value of new extents (the batch counting as 1) whose entry i is entry table[i] of the old one, or `fill`
 * where that is −1.
 * @param axis where the batch is then; −1 for nowhere
 */
export function arranged(
  call: Call,
  value: Value,
  shape: readonly number[],
  table: Int32Array,
  axis: number,
  fill = 0,
): Value {
  if (value.kind === 'constant') {
    const { name, data } = value.tensor;
    const values =
      data instanceof BigInt64Array // exact beyond 2⁵³: "to the end" is the largest int64
        ? BigInt64Array.from(table, (i) => (i < 0 ? BigInt(fill) : (data[i] as bigint)))
        : sameType(
            data,
            Array.from(table, (i) => (i < 0 ? fill : (data[i] as number))),
          );
    return { kind: 'constant', tensor: { name, shape, data: values } };
  }
  const constants = fill === 0 ? undefined : Float64Array.from(table, (i) => (i < 0 ? fill : 0));
  return { ...value, ...imageShape(call, shape, axis), view: through(value, table, constants) };
}

/** The same entries in the same order under other extents. */
export function reshaped(call: Call, value: Value, shape: readonly number[], axis: number): Value {
  if (value.kind === 'constant') return { ...value, tensor: { ...value.tensor, shape } };
  return { ...value, ...imageShape(call, shape, axis) };
}

/**
 * Checks the extents of a value to be made, before anything of its size is. A constant may be as large as an
 * activation, or as the one that it is made of.
 */
export function checkSize(call: Call, from: Value | undefined, shape: readonly number[]): void {
  if (from?.kind === 'activation') {
    checkExtents(call, shape);
    return;
  }
  const most = Math.max(LARGEST_ACTIVATION, from?.tensor.data.length ?? 0);
  if (!(sizeOf(shape) <= most) || shape.some((extent) => !(extent >= 0)))
    refuse(call, `constants of at most ${most} values and no negative extents`, `[${shape.join(',')}]`);
}

/**
 * Entry i of axis k is entry maps[k][i] of it in the old value, −1 for `fill`; axes without a map stay.
 * Refuses to touch the batch.
 */
export function alongAxes(
  call: Call,
  value: Value,
  maps: ReadonlyMap<number, readonly number[]>,
  fill = 0,
): Value {
  const from = fileShape(value);
  const axis = batchAxisOf(call, value);
  if (maps.has(axis))
    refuse(call, 'to keep the images of a batch apart', `axis ${axis} of ${shapeText(value)}`);
  const shape = from.map((extent, k) => maps.get(k)?.length ?? extent);
  checkSize(call, value, shape);
  const strides = from.map((_, k) => sizeOf(from.slice(k + 1)));
  let table = Int32Array.of(0);
  shape.forEach((extent, k) => {
    const map = maps.get(k);
    const next = new Int32Array(table.length * extent);
    table.forEach((base, i) => {
      for (let j = 0; j < extent; j++) {
        const entry = map ? (map[j] as number) : j;
        next[i * extent + j] = base < 0 || entry < 0 ? -1 : base + entry * (strides[k] as number);
      }
    });
    table = next;
  });
  return arranged(call, value, shape, table, axis, fill);
}

/** Axes permuted: axis i of the result is axis order[i]. */
export function transposed(call: Call, value: Value, order: readonly number[]): Value {
  const from = fileShape(value);
  const shape = order.map((axis) => from[axis] as number);
  const strides = from.map((_, k) => sizeOf(from.slice(k + 1)));
  let table = Int32Array.of(0);
  order.forEach((axis, k) => {
    const [extent, stride] = [shape[k] as number, strides[axis] as number];
    const next = new Int32Array(table.length * extent);
    table.forEach((base, i) => {
      for (let j = 0; j < extent; j++) next[i * extent + j] = base + j * stride;
    });
    table = next;
  });
  return arranged(call, value, shape, table, order.indexOf(batchAxisOf(call, value)));
}

/** The common extents of values under ONNX's broadcasting, or undefined where there are none. */
export function commonShape(shapes: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const out = new Array<number>(rank).fill(1);
  for (const shape of shapes)
    for (const [i, extent] of shape.entries()) {
      const axis = rank - shape.length + i;
      if (out[axis] === 1) out[axis] = extent;
      else if (extent !== 1 && extent !== out[axis]) return undefined;
    }
  return out;
}

/**
 * A value repeated along axes of 1 to extents that it broadcasts to, and at most as large as `beside`; the
 * batch may not be repeated.
 */
export function broadcasted(
  call: Call,
  value: Value,
  shape: readonly number[],
  beside: Value = value,
): Value {
  const from = fileShape(value);
  const own = batchAxisOf(call, value);
  const axis = own < 0 ? -1 : own + shape.length - from.length;
  if (axis >= 0 && shape[axis] !== 1)
    refuse(
      call,
      'what is the same for all images of a batch',
      `[${shape.join(',')}] beside ${shapeText(value)}`,
    );
  checkSize(call, beside, shape);
  const table = new Int32Array(sizeOf(shape));
  forEachBroadcast(shape, [from], (i, [j]) => {
    table[i] = j as number;
  });
  return arranged(call, value, shape, table, axis);
}

/** The same for an activation. */
export const broadcastedActivation = (call: Call, x: Activation, shape: readonly number[]): Activation =>
  broadcasted(call, x, shape) as Activation;
