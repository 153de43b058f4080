/**
 * The three bilinear maps of a convolution without bias, on [features, n], each in chunks that stay in the
 * processor's cache:
 *
 *   linear(W, x) = W ∗ x,   adjoint(W, a) = the adjoint of W ∗ · at a,   outer(a, x) = ∂⟨a, W ∗ x⟩/∂W.
 *
 * The im2col matrix of a whole batch is many times larger than the batch, and reading it back from memory
 * costs more than the product itself. So `linear` and `outer` go over groups of output places, `adjoint` over
 * groups of input channels. Each map is the derivative of the other two, which keeps all their derivatives
 * chunked as well.
 */
import {
  addAll,
  concat,
  gatherRows,
  gemm,
  gemmAdd,
  type RowTable,
  reshape,
  scatterRows,
  slice,
  sumTo,
  type Tensor,
  withGradient,
} from '../../graph/index.js';
import { remembered } from '../../graph/remembered.js';
import { type Extents, featuresOf, type Window } from './layer.js';

/** Floats of an im2col matrix that are made at once. */
const CHUNK_FLOATS = 1 << 20;

export interface ConvolutionShape {
  readonly input: Extents;
  readonly output: Extents;
  readonly window: Window;
}

const tables = new Map<string, RowTable>();

/** Input row for each (channel, tap y, tap x, output y, output x); −1 where a tap falls on padding. */
export function im2colTable(
  [channels, height, width]: Extents,
  [rows, columns]: readonly [number, number],
  { kernel, stride, padding }: Window,
): RowTable {
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

/** The columns of an im2col table that belong to output places start … end. */
function tableOfPlaces(table: RowTable, places: number, start: number, end: number): RowTable {
  if (start === 0 && end === places) return table;
  return partsOfTables(table, `${start}:${end}`, () => {
    const taps = table.length / places;
    const part = new Int32Array(taps * (end - start));
    for (let tap = 0; tap < taps; tap++)
      part.set(table.subarray(tap * places + start, tap * places + end), tap * (end - start));
    return part;
  });
}
const partsOfTables = remembered<RowTable, RowTable>();

/** Cuts 0 … count into equal runs of which each costs at most CHUNK_FLOATS. */
function runs(count: number, floatsEach: number): [start: number, end: number][] {
  const groups = Math.min(count, Math.ceil((count * floatsEach) / CHUNK_FLOATS));
  const size = Math.ceil(count / groups);
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => [
    i * size,
    Math.min(count, (i + 1) * size),
  ]);
}

export function convolutionProduct({ input, output, window }: ConvolutionShape) {
  const [channels, rows, columns] = output;
  const places = rows * columns;
  const taps = window.kernel[0] * window.kernel[1];
  const fanIn = input[0] * taps;
  const weightShape = [channels, input[0], ...window.kernel];
  const table = im2colTable(input, [rows, columns], window);

  /** im2col matrices [fanIn, places of the group · n], with the columns that each covers. */
  const patchGroups = (x: Tensor) => {
    const n = x.shape[1] as number;
    return runs(places, fanIn * n).map(([start, end]) => ({
      patches: reshape(gatherRows(x, tableOfPlaces(table, places, start, end)), [fanIn, (end - start) * n]),
      start: start * n,
      end: end * n,
    }));
  };

  function linear(weight: Tensor, x: Tensor, bias?: Tensor): Tensor {
    const n = x.shape[1] as number;
    const matrix = reshape(weight, [channels, fanIn]);
    const column = bias && reshape(bias, [channels, 1]);
    const parts = patchGroups(x).map(({ patches }) =>
      column ? gemmAdd(matrix, patches, column) : gemm(matrix, patches),
    );
    const value = reshape(concat(parts, 1), [channels * places, n]);
    return withGradient(value, bias ? [weight, x, bias] : [weight, x], (g) => [
      outer(g, x),
      adjoint(weight, g),
      ...(bias ? [reshape(sumTo(reshape(g, [channels, places * n]), [channels, 1]), bias.shape)] : []),
    ]);
  }

  function adjoint(weight: Tensor, a: Tensor): Tensor {
    const n = a.shape[1] as number;
    const flat = reshape(a, [channels, places * n]);
    const parts = runs(input[0], taps * places * n).map(([start, end]) => {
      const group: Extents = [end - start, input[1], input[2]];
      const matrix = reshape(slice(reshape(weight, weightShape), 1, start, end), [channels, group[0] * taps]);
      const seen = reshape(gemm(matrix, flat, true), [group[0] * taps * places, n]);
      return scatterRows(seen, im2colTable(group, [rows, columns], window), featuresOf(group));
    });
    return withGradient(concat(parts, 0), [weight, a], (g) => [outer(a, g), linear(weight, g)]);
  }

  function outer(a: Tensor, x: Tensor): Tensor {
    const n = x.shape[1] as number;
    const flat = reshape(a, [channels, places * n]);
    const parts = patchGroups(x).map(({ patches, start, end }) =>
      gemm(slice(flat, 1, start, end), patches, false, true),
    );
    return withGradient(reshape(addAll(parts), weightShape), [a, x], (g) => [linear(g, x), adjoint(g, a)]);
  }

  return { linear, adjoint };
}
