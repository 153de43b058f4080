/** Flatten, Reshape, Squeeze and Unsqueeze: other extents for the same features in the same order. */
import { batchAxisOf, reshaped } from './arrangement.js';
import { type Activation, sizeOf, type Value } from './draft.js';
import {
  anyActivation,
  attributeOrInput,
  axisOf,
  type Call,
  describeValue,
  fileShape,
  integer,
  type OperatorReader,
  refuse,
  SYMBOLIC_BATCH,
} from './operator.js';

const flattening: OperatorReader = {
  attributes: ['axis'],
  read(call) {
    const x = anyActivation(call);
    const full = fileShape(x);
    const given = integer(call, 'axis', 1);
    const axis = given < 0 ? given + full.length : given;
    const batch = batchAxisOf(call, x);
    const [rows, columns] = [sizeOf(full.slice(0, axis)), sizeOf(full.slice(axis))];
    // Axes before `axis` join the batch, which only those of extent 1 can do.
    if (axis < 0 || axis > full.length || (batch >= 0 && (axis <= batch || rows !== 1)))
      refuse(call, 'to keep the batch axis', `axis ${given} of ${describeValue(x)}`);
    return reshaped(call, x, [rows, columns], batch < 0 ? -1 : 0);
  },
};

/** Extents with 0 copied from the old ones and −1 computed, or undefined if their size is another. */
function resolved(
  target: readonly number[],
  from: readonly number[],
  zeroCopies: boolean,
): number[] | undefined {
  const shape = target.map((extent, i) => (extent === 0 && zeroCopies ? (from[i] ?? Number.NaN) : extent));
  const open = shape.indexOf(-1);
  if (open >= 0) {
    shape[open] = 1;
    shape[open] = sizeOf(from) / sizeOf(shape);
  }
  return shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0) &&
    sizeOf(shape) === sizeOf(from)
    ? shape
    : undefined;
}

/**
 * Extents of one image after a Reshape to `target`, or undefined if it would mix images or change their size.
 */
function reshapedExtents(
  { shape }: Activation,
  target: readonly number[],
  batch: number | undefined,
  zeroCopies: boolean,
): number[] | undefined {
  const [first, ...rest] = target;
  if (rest.length === 0) return undefined;
  // A model traced with one image may say 1 where it means the batch.
  if (!((first === 0 && zeroCopies) || first === -1 || first === (batch ?? 1) || first === SYMBOLIC_BATCH))
    return undefined;
  if (first === -1 && rest.includes(-1)) return undefined;
  return resolved(rest, shape, zeroCopies);
}

const reshaping: OperatorReader = {
  attributes: ['allowzero', 'shape'],
  read(call) {
    const value = call.inputs[0] ?? refuse(call, 'an input', 'none');
    const target = attributeOrInput(call, 'shape', 1) ?? refuse(call, 'a shape', 'none');
    const zeroCopies = integer(call, 'allowzero', 0) === 0;
    const batch = batchAxisOf(call, value);
    if (value.kind === 'constant' || batch < 0) {
      const shape = resolved(
        target.map((extent) => (extent === SYMBOLIC_BATCH ? 1 : extent)),
        fileShape(value),
        zeroCopies,
      );
      return shape
        ? reshaped(call, value, shape, -1)
        : refuse(call, `a reshape of ${sizeOf(fileShape(value))} values`, `[${target.join(',')}]`);
    }
    const shape = batch === 0 ? reshapedExtents(value, target, call.batch, zeroCopies) : undefined;
    return shape
      ? { ...value, shape }
      : refuse(
          call,
          `a reshape that keeps the batch and each image's ${sizeOf(value.shape)} values`,
          `[${target.map((e) => (e === SYMBOLIC_BATCH ? 'batch' : e)).join(',')}]`,
        );
  },
};

/** Input 0 with the axes of `from`, in the new order of `kept` and −1 for new ones. */
function withAxes(call: Call, value: Value, kept: readonly number[]): Value {
  const from = fileShape(value);
  const batch = batchAxisOf(call, value);
  return reshaped(
    call,
    value,
    kept.map((axis) => (axis < 0 ? 1 : (from[axis] as number))),
    batch < 0 ? -1 : kept.indexOf(batch),
  );
}

const squeezing: OperatorReader = {
  attributes: ['axes'],
  read(call) {
    const value = call.inputs[0] ?? refuse(call, 'an input', 'none');
    const shape = fileShape(value);
    const batch = batchAxisOf(call, value);
    const given = attributeOrInput(call, 'axes', 1)?.map((axis) => axisOf(call, axis, shape.length));
    const gone = given ?? shape.flatMap((extent, axis) => (extent === 1 && axis !== batch ? [axis] : []));
    if (gone.some((axis) => shape[axis] !== 1 || axis === batch))
      refuse(
        call,
        'axes of extent 1 that are not the batch',
        `axes ${gone.join(',')} of ${describeValue(value)}`,
      );
    return withAxes(
      call,
      value,
      shape.map((_, axis) => axis).filter((axis) => !gone.includes(axis)),
    );
  },
};

const unsqueezing: OperatorReader = {
  attributes: ['axes'],
  read(call) {
    const value = call.inputs[0] ?? refuse(call, 'an input', 'none');
    const shape = fileShape(value);
    const given = attributeOrInput(call, 'axes', 1) ?? refuse(call, 'axes', 'none');
    const rank = shape.length + given.length;
    const added = new Set(given.map((axis) => axisOf(call, axis, rank)));
    if (added.size !== given.length) refuse(call, 'each axis once', `[${given.join(',')}]`);
    let next = 0;
    return withAxes(
      call,
      value,
      Array.from({ length: rank }, (_, axis) => (added.has(axis) ? -1 : next++)),
    );
  },
};

export const reshapingOperators: Readonly<Record<string, OperatorReader>> = {
  Flatten: flattening,
  Reshape: reshaping,
  Squeeze: squeezing,
  Unsqueeze: unsqueezing,
};
