/**
 * Two-dimensional convolution, y = W ∗ x + b with W [out, in, kernel height, kernel width], on [features, batch].
 *
 * Forward: im2col as a gather of whole rows (one table for the layer's geometry), then one matrix product. The adjoint is one
 * matrix product and, for each tap that an input pixel can meet, one gather; their sum. Both use documented operators only and
 * run in float32 and float64 alike.
 */
import { abs, broadcastTo, gatherRows, gemm, gemmAdd, type RowTable, reshape, scatterRows, type Tensor } from '../../graph/index.js';
import { type AffineLayer, type Extents, featuresOf, type Window } from './layer.js';

export interface ConvolutionGeometry {
  readonly channels: number;
  readonly kernel: readonly [number, number];
  readonly stride?: readonly [number, number];
  /** Zeros above, left, below and right of the input. */
  readonly padding?: readonly [top: number, left: number, bottom: number, right: number];
}

const tables = new Map<string, RowTable>();

/** Input row for each (channel, tap y, tap x, output y, output x); −1 where a tap falls on padding. */
export function im2colTable([channels, height, width]: Extents, [rows, columns]: readonly [number, number], { kernel, stride, padding }: Window): RowTable {
  const key = JSON.stringify([channels, height, width, rows, columns, kernel, stride, padding]);
  const known = tables.get(key);
  if (known) return known;
  const table = new Int32Array(channels * kernel[0] * kernel[1] * rows * columns);
  let i = 0;
  for (let c = 0; c < channels; c++)
    for (let ky = 0; ky < kernel[0]; ky++)
      for (let kx = 0; kx < kernel[1]; kx++)
        for (let oy = 0; oy < rows; oy++)
          for (let ox = 0; ox < columns; ox++) {
            const y = oy * stride[0] + ky - padding[0];
            const x = ox * stride[1] + kx - padding[1];
            table[i++] = y >= 0 && y < height && x >= 0 && x < width ? (c * height + y) * width + x : -1;
          }
  tables.set(key, table);
  return table;
}

export function convolutionLayer(input: Extents, geometry: ConvolutionGeometry): AffineLayer {
  const { channels, kernel } = geometry;
  const [top, left, bottom, right] = geometry.padding ?? [0, 0, 0, 0];
  const stride = geometry.stride ?? [1, 1];
  const rows = Math.floor((input[1] + top + bottom - kernel[0]) / stride[0]) + 1;
  const columns = Math.floor((input[2] + left + right - kernel[1]) / stride[1]) + 1;
  if (rows < 1 || columns < 1)
    throw new RangeError(
      `convolution: a kernel of ${kernel.join('×')} does not fit an input of ${input.join('×')} with padding ${[top, left, bottom, right].join(',')}`,
    );
  const window: Window = { kernel, stride, padding: [top, left] };
  const places = rows * columns;
  const fanIn = input[0] * kernel[0] * kernel[1];
  const table = im2colTable(input, [rows, columns], window);
  const matrix = (weight: Tensor) => reshape(weight, [channels, fanIn]);
  const patches = (x: Tensor) => reshape(gatherRows(x, table), [fanIn, places * (x.shape[1] as number)]);
  const flat = (y: Tensor, x: Tensor) => reshape(y, [channels * places, x.shape[1] as number]);
  return {
    kind: 'affine',
    name: 'convolution',
    input,
    output: [channels, rows, columns],
    parameters: [
      { name: 'weight', shape: [channels, input[0], ...kernel], fanIn },
      { name: 'bias', shape: [channels], fanIn },
    ],
    window,
    apply: ({ weight, bias }, x) =>
      flat(bias ? gemmAdd(matrix(weight as Tensor), patches(x), reshape(bias, [channels, 1])) : gemm(matrix(weight as Tensor), patches(x)), x),
    linear: ({ weight }, x) => flat(gemm(matrix(weight as Tensor), patches(x)), x),
    adjoint({ weight }, a) {
      const n = a.shape[1] as number;
      const taps = reshape(gemm(matrix(weight as Tensor), reshape(a, [channels, places * n]), true), [fanIn * places, n]);
      return scatterRows(taps, table, featuresOf(input));
    },
    absolute: ({ weight }) => ({ weight: abs(weight as Tensor) }),
    bias: ({ bias }) => bias && reshape(broadcastTo(reshape(bias, [channels, 1]), [channels, places]), [channels * places, 1]),
  };
}
