/**
 * Operators that move features without changing them: Transpose, Slice, Gather, Split, Pad, Expand. Of
 * constants they are computed at once.
 */
import { alongAxes, batchAxisOf, broadcasted, commonShape, reshaped, transposed } from './arrangement.js';
import type { Value } from './draft.js';
import {
  attributeOrInput,
  axisOf,
  type Call,
  constant,
  describeValue,
  fileShape,
  integer,
  integerList,
  type OperatorReader,
  real,
  refuse,
  SYMBOLIC_BATCH,
  text,
} from './operator.js';

/** Input 0, whatever it is. */
const operand = (call: Call): Value => call.inputs[0] ?? refuse(call, 'an input', 'none');
/** start, start + 1, … of a number of entries. */
const run = (start: number, length: number): number[] => Array.from({ length }, (_, i) => start + i);

const transpose: OperatorReader = {
  attributes: ['perm'],
  read(call) {
    const value = operand(call);
    const rank = fileShape(value).length;
    const order = attributeOrInput(call, 'perm', Number.NaN) ?? run(0, rank).reverse();
    if ([...order].sort((a, b) => a - b).some((axis, i) => axis !== i) || order.length !== rank)
      refuse(call, `perm to be a permutation of ${rank} axes`, `[${order.join(',')}]`);
    return transposed(call, value, order);
  },
};

/** From here on an end means "to the last entry". */
const FAR = 2 ** 31 - 1;

const slicing: OperatorReader = {
  attributes: ['axes', 'ends', 'starts'],
  read(call) {
    const value = operand(call);
    const shape = fileShape(value);
    const starts = attributeOrInput(call, 'starts', 1) ?? refuse(call, 'starts', 'none');
    const ends = attributeOrInput(call, 'ends', 2) ?? refuse(call, 'ends', 'none');
    const axes = attributeOrInput(call, 'axes', 3) ?? run(0, starts.length);
    const steps = call.inputs[4] === undefined ? starts.map(() => 1) : integerList(call, 4);
    if ([ends, axes, steps].some((list) => list.length !== starts.length))
      refuse(
        call,
        'as many starts, ends, axes and steps',
        `${starts.length}, ${ends.length}, ${axes.length}, ${steps.length}`,
      );
    const maps = new Map<number, number[]>();
    axes.forEach((given, k) => {
      const axis = axisOf(call, given, shape.length);
      const extent = shape[axis] as number;
      const [start, end, step] = [starts[k], ends[k], steps[k]] as [number, number, number];
      if (step === 0 || maps.has(axis))
        refuse(call, 'axes once and steps other than 0', `axis ${given} with step ${step}`);
      const whole = start === 0 && step === 1 && (end >= FAR || end === SYMBOLIC_BATCH || end === call.batch);
      if (axis === batchAxisOf(call, value) && whole) return;
      if ([start, end, step].includes(SYMBOLIC_BATCH))
        refuse(call, 'ends that do not depend on the batch', `its symbolic extent for axis ${given}`);
      const clamp = (at: number, least: number, most: number) =>
        Math.min(Math.max(at < 0 ? at + extent : at, least), most);
      const first = step > 0 ? clamp(start, 0, extent) : clamp(start, 0, extent - 1);
      const last = step > 0 ? clamp(end, 0, extent) : clamp(end, -1, extent - 1);
      const count = Math.max(0, Math.ceil((last - first) / step));
      maps.set(
        axis,
        Array.from({ length: count }, (_, i) => first + i * step),
      );
    });
    return alongAxes(call, value, maps);
  },
};

const gather: OperatorReader = {
  attributes: ['axis'],
  read(call) {
    const value = operand(call);
    const shape = fileShape(value);
    const axis = axisOf(call, integer(call, 'axis', 0), shape.length);
    const extent = shape[axis] as number;
    const indices = constant(call, 1).shape;
    const map = integerList(call, 1).map((index) => {
      const at = index < 0 ? index + extent : index;
      return at >= 0 && at < extent
        ? at
        : refuse(call, `indices from ${-extent} to ${extent - 1}`, `${index}`);
    });
    const chosen = alongAxes(call, value, new Map([[axis, map]]));
    const batch = batchAxisOf(call, value);
    return reshaped(
      call,
      chosen,
      [...shape.slice(0, axis), ...indices, ...shape.slice(axis + 1)],
      batch > axis ? batch + indices.length - 1 : batch,
    );
  },
};

const split: OperatorReader = {
  attributes: ['axis', 'num_outputs', 'split'],
  read(call) {
    const value = operand(call);
    const shape = fileShape(value);
    const axis = axisOf(call, integer(call, 'axis', 0), shape.length);
    const extent = shape[axis] as number;
    const count = call.node.outputs.length;
    const each = Math.ceil(extent / count);
    const sizes =
      attributeOrInput(call, 'split', 1) ?? run(0, count).map((k) => Math.min(each, extent - k * each));
    if (
      sizes.length !== count ||
      sizes.some((size) => !(size >= 1)) ||
      sizes.reduce((a, b) => a + b, 0) !== extent
    )
      refuse(call, `${count} parts of ${extent} entries`, `[${sizes.join(',')}]`);
    let start = 0;
    return sizes.map((size) => {
      const part = alongAxes(call, value, new Map([[axis, run(start, size)]]));
      start += size;
      return part.kind === 'activation' ? { ...part, exclusive: false } : part;
    });
  },
};

/** The entry that position i of a padded axis repeats, or −1. */
const PADDINGS: Readonly<Record<string, (i: number, extent: number) => number>> = {
  constant: (i, extent) => (i >= 0 && i < extent ? i : -1),
  edge: (i, extent) => Math.min(Math.max(i, 0), extent - 1),
  reflect: (i, extent) => (i < 0 ? -i : i >= extent ? 2 * (extent - 1) - i : i),
  wrap: (i, extent) => ((i % extent) + extent) % extent,
};

const padding: OperatorReader = {
  attributes: ['mode', 'pads', 'value'],
  read(call) {
    const value = operand(call);
    const shape = fileShape(value);
    const mode = text(call, 'mode', 'constant');
    const entryOf = PADDINGS[mode] ?? refuse(call, `mode ${Object.keys(PADDINGS).join(', ')}`, mode);
    const pads = attributeOrInput(call, 'pads', 1) ?? refuse(call, 'pads', 'none');
    const axes =
      call.inputs[3] === undefined
        ? run(0, shape.length)
        : integerList(call, 3).map((axis) => axisOf(call, axis, shape.length));
    if (pads.length !== 2 * axes.length)
      refuse(call, `pads before and after ${axes.length} axes`, `[${pads.join(',')}]`);
    const fill =
      call.inputs[2] === undefined ? real(call, 'value', 0) : Number(constant(call, 2).data[0] ?? 0);
    if (!Number.isFinite(fill)) refuse(call, 'a finite value to pad with', `${fill}`);
    const maps = new Map<number, number[]>();
    axes.forEach((axis, k) => {
      const [before, after] = [pads[k], pads[k + axes.length]] as [number, number];
      if (before === 0 && after === 0) return;
      const extent = shape[axis] as number;
      const length = extent + before + after;
      if (
        !(length >= 1 && length <= FAR) ||
        (mode === 'reflect' && Math.max(before, after) >= extent) ||
        maps.has(axis)
      )
        refuse(call, `pads that fit an axis of ${extent}`, `${before} and ${after} (${mode})`);
      if (length > LARGEST_AXIS) refuse(call, `an axis of at most ${LARGEST_AXIS}`, `${length}`);
      maps.set(
        axis,
        run(-before, length).map((i) => entryOf(i, extent)),
      );
    });
    return alongAxes(call, value, maps, mode === 'constant' ? fill : 0);
  },
};
/** Longest axis that is padded to. */
const LARGEST_AXIS = 2 ** 22;

const expand: OperatorReader = {
  attributes: [],
  read(call) {
    const value = operand(call);
    const own = fileShape(value);
    const given = integerList(call, 1);
    const batch = batchAxisOf(call, value);
    const axis = batch < 0 ? -1 : batch + Math.max(0, given.length - own.length);
    const offset = Math.max(0, own.length - given.length);
    const target = given.map((extent, i) =>
      extent === SYMBOLIC_BATCH || (i + offset === axis && extent === call.batch) ? 1 : extent,
    );
    const shape =
      commonShape([own, target]) ??
      refuse(call, `a shape that ${describeValue(value)} broadcasts with`, `[${given.join(',')}]`);
    return broadcasted(call, value, shape);
  },
};

export const rearrangingOperators: Readonly<Record<string, OperatorReader>> = {
  Transpose: transpose,
  Slice: slicing,
  Gather: gather,
  Split: split,
  Pad: padding,
  Expand: expand,
};
