/**
 * MaxPool and GlobalMaxPool as trees of max(a, b) = b + relu(a − b), kernel area less one ReLU for each
 * output.
 *
 * Each tap of the kernel is a selection of the input's features. A level of the tree takes the maximum of the
 * first and second of all pairs of taps at once, so that there are few layers. Where a tap meets padding it
 * selects another of its window, to the same effect as −∞.
 */
import { type Activation, sizeOf } from './draft.js';
import { activation, type Call, checkExtents, integers, type OperatorReader, refuse } from './operator.js';
import { extremumOf } from './piecewise-linear.js';
import { imageExtents, LARGEST_TABLE, placement, type SpatialWindow, spatialWindow } from './spatial.js';
import { through } from './view.js';

type Places = readonly [rows: number, columns: number];

/** For each tap, one after the other, the input feature that each output has there: [taps · outputs]. */
function tapTable(
  call: Call,
  [channels, height, width]: readonly [number, number, number],
  { kernel, stride, dilation }: SpatialWindow,
  [top, left]: readonly number[],
  [rows, columns]: Places,
): Int32Array {
  const taps = sizeOf(kernel);
  const size = channels * rows * columns;
  const table = new Int32Array(taps * size);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      const seen = Int32Array.from({ length: taps }, (_, tap) => {
        const row = i * stride[0] - (top as number) + Math.floor(tap / kernel[1]) * dilation[0];
        const column = j * stride[1] - (left as number) + (tap % kernel[1]) * dilation[1];
        return row >= 0 && row < height && column >= 0 && column < width ? row * width + column : -1;
      });
      const any =
        seen.find((place) => place >= 0) ??
        refuse(call, 'windows that meet the input', `one in padding alone, at ${i},${j}`);
      for (let c = 0; c < channels; c++)
        seen.forEach((place, tap) => {
          table[tap * size + (c * rows + i) * columns + j] = c * height * width + (place < 0 ? any : place);
        });
    }
  return table;
}

/** The maximum over the taps, of the extents of one image. */
function treeMaximum(
  call: Call,
  given: Activation,
  tapsOfInput: Int32Array,
  shape: readonly number[],
): Activation {
  const size = sizeOf(shape);
  let x: Activation = { ...given, exclusive: false };
  let table = tapsOfInput;
  let taps = table.length / size;
  const select = (from: number, to: number, extents: readonly number[]): Activation => ({
    ...x,
    shape: extents,
    view: through(x, table.subarray(from * size, to * size)),
  });
  const left: Activation[] = [];
  while (taps > 1) {
    const half = Math.floor(taps / 2);
    if (taps % 2 === 1) left.push(select(taps - 1, taps, shape));
    const level = [half * size];
    checkExtents(call, level);
    x = extremumOf(call, select(0, half, level), select(half, 2 * half, level), 1);
    table = Int32Array.from({ length: half * size }, (_, i) => i);
    taps = half;
  }
  return left.reduce((a, b) => extremumOf(call, a, b, 1), select(0, 1, shape));
}

const maxPool: OperatorReader = {
  attributes: ['auto_pad', 'ceil_mode', 'dilations', 'kernel_shape', 'pads', 'storage_order', 'strides'],
  read(call) {
    if (call.node.outputs.slice(1).some((name) => name !== ''))
      refuse(call, 'maxima alone', 'their indices as a second output');
    const x = activation(call);
    const extents = imageExtents(call, x.shape);
    const rank = x.shape.length - 1;
    const window = spatialWindow(call, integers(call, 'kernel_shape', new Array<number>(rank).fill(0)));
    const { padding, places } = placement(call, [extents[1], extents[2]], rank, window);
    const output = [extents[0], ...places.slice(2 - rank)];
    checkExtents(call, output);
    const entries = sizeOf(output) * sizeOf(window.kernel);
    if (entries > LARGEST_TABLE)
      refuse(call, `a pool of at most ${LARGEST_TABLE} (output, tap) pairs`, `${entries}`);
    return treeMaximum(call, x, tapTable(call, extents, window, padding, places), output);
  },
};

const globalMaxPool: OperatorReader = {
  attributes: [],
  read(call) {
    const x = activation(call);
    const [channels, height, width] = imageExtents(call, x.shape);
    const window: SpatialWindow = { kernel: [height, width], stride: [1, 1], dilation: [1, 1] };
    const output = [channels, ...x.shape.slice(1).map(() => 1)];
    return treeMaximum(call, x, tapTable(call, [channels, height, width], window, [0, 0], [1, 1]), output);
  },
};

export const maxPoolingOperators: Readonly<Record<string, OperatorReader>> = {
  GlobalMaxPool: globalMaxPool,
  MaxPool: maxPool,
};
