/** AveragePool, GlobalAveragePool, ReduceMean and ReduceSum: sums of features with one factor each. */
import { batchAxisOf, transposed } from './arrangement.js';
import { type Activation, append, extentsOf, sizeOf } from './draft.js';
import {
  activation,
  anyActivation,
  attributeOrInput,
  axisOf,
  type Call,
  checkExtents,
  fileShape,
  imageShape,
  integer,
  integers,
  type OperatorReader,
  refuse,
  shapeText,
} from './operator.js';
import { imageExtents, LARGEST_TABLE, placement, spatialWindow } from './spatial.js';
import { materialized, nodeExtents } from './view.js';

/** factors[i] · Σ of the features of x in row i of a table; shape of the result without the batch. */
function pooled(
  call: Call,
  given: Activation,
  table: Int32Array,
  factors: Float64Array,
  shape: readonly number[],
): Activation {
  const x = given.view?.constants ? materialized(call.draft, given) : given;
  const { view } = x;
  const seen = view ? table.map((i) => (i < 0 ? -1 : (view.table[i] as number))) : table;
  const output = extentsOf(shape);
  return append(
    call.draft,
    { kind: 'pooling', inputs: [x.node], input: nodeExtents(call.draft, x), output, table: seen, factors },
    shape,
  );
}

const averagePool: OperatorReader = {
  attributes: ['auto_pad', 'ceil_mode', 'count_include_pad', 'dilations', 'kernel_shape', 'pads', 'strides'],
  read(call) {
    const x = activation(call);
    const [channels, height, width] = imageExtents(call, x.shape);
    const rank = x.shape.length - 1;
    const window = spatialWindow(call, integers(call, 'kernel_shape', new Array<number>(rank).fill(0)));
    const { padding, places } = placement(call, [height, width], rank, window);
    const output = [channels, ...places.slice(2 - rank)];
    checkExtents(call, output);
    const taps = sizeOf(window.kernel);
    if (channels * sizeOf(places) * taps > LARGEST_TABLE)
      refuse(
        call,
        `a pool of at most ${LARGEST_TABLE} (output, tap) pairs`,
        `${channels * sizeOf(places) * taps}`,
      );
    const padsCount = integer(call, 'count_include_pad', 0) !== 0;
    const table = new Int32Array(channels * sizeOf(places) * taps).fill(-1);
    const factors = new Float64Array(channels * sizeOf(places));
    let at = 0;
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < places[0]; i++)
        for (let j = 0; j < places[1]; j++, at++) {
          let count = 0;
          for (let p = 0; p < window.kernel[0]; p++)
            for (let q = 0; q < window.kernel[1]; q++) {
              const row = i * window.stride[0] - padding[0] + p * window.dilation[0];
              const column = j * window.stride[1] - padding[1] + q * window.dilation[1];
              const inside = row >= 0 && row < height && column >= 0 && column < width;
              if (inside) table[at * taps + p * window.kernel[1] + q] = (c * height + row) * width + column;
              // What lies beyond the padding too, which only a rounded-up last window reaches, never counts.
              if (inside || (padsCount && row < height + padding[2] && column < width + padding[3])) count++;
            }
          if (count === 0) refuse(call, 'windows that meet the input', `one in padding alone, at ${i},${j}`);
          factors[at] = 1 / count;
        }
    return pooled(call, x, table, factors, output);
  },
};

/** The sum or mean over axes, kept with extent 1 or dropped. */
function reduced(
  call: Call,
  x: Activation,
  axes: readonly number[],
  keep: boolean,
  mean: boolean,
): Activation {
  const full = fileShape(x);
  const batch = batchAxisOf(call, x);
  if (axes.includes(batch))
    refuse(call, 'to keep the images of a batch apart', `axis ${batch} of ${shapeText(x)}`);
  const kept = full.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const shape = full.flatMap((extent, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [extent]));
  const extents = imageShape(call, shape, batch < 0 || keep ? batch : kept.indexOf(batch));
  const terms = sizeOf(axes.map((axis) => full[axis] as number));
  if (terms === 1) return { ...x, ...extents };
  const front = transposed(call, { ...x, view: undefined }, [...kept, ...axes]) as Activation;
  const outputs = sizeOf(extents.shape);
  const table = front.view?.table ?? Int32Array.from({ length: outputs * terms }, (_, i) => i);
  const factors = new Float64Array(outputs).fill(mean ? 1 / terms : 1);
  return { ...pooled(call, x, table, factors, extents.shape), ...extents };
}

const reduction = (mean: boolean): OperatorReader => ({
  attributes: ['axes', 'keepdims', 'noop_with_empty_axes'],
  read(call) {
    const x = anyActivation(call);
    const rank = fileShape(x).length;
    const given = attributeOrInput(call, 'axes', 1) ?? [];
    if (given.length === 0 && integer(call, 'noop_with_empty_axes', 0) !== 0) return x;
    const axes =
      given.length === 0
        ? fileShape(x).map((_, axis) => axis)
        : [...new Set(given.map((axis) => axisOf(call, axis, rank)))].sort((a, b) => a - b);
    return reduced(call, x, axes, integer(call, 'keepdims', 1) !== 0, mean);
  },
});

const globalAveragePool: OperatorReader = {
  attributes: [],
  read(call) {
    const x = anyActivation(call);
    const axes = fileShape(x).map((_, axis) => axis);
    if ((x.batchAxis ?? 0) !== 0 || axes.length < 3) refuse(call, 'an input [batch,C,…]', shapeText(x));
    return reduced(call, x, axes.slice(2), true, true);
  },
};

export const poolingOperators: Readonly<Record<string, OperatorReader>> = {
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  ReduceMean: reduction(true),
  ReduceSum: reduction(false),
};
