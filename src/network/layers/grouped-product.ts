/**
 * The two maps of a convolution whose channels fall into groups and whose kernels may be dilated, on
 * [features, n]:
 *
 *   linear(W, x) = W ∗ x,   adjoint(W, a) = the adjoint of W ∗ · at a
 *
 * with W [out, in/groups, kernel height, kernel width].
 *
 * Output channel o sees the input channels of its group alone. im2col rows of a group lie together, so that
 * all groups are one stack of matrix products. Unlike `convolution-product` nothing is cut into chunks:
 * grouped convolutions have few taps per output.
 */
import {
  batchedMatmul,
  gatherRows,
  type RowTable,
  reshape,
  scatterRows,
  type Tensor,
  transpose,
} from '../../graph/index.js';
import { im2colTable } from './convolution-product.js';
import { type Extents, featuresOf, type Window } from './layer.js';

export interface GroupedShape {
  readonly input: Extents;
  readonly output: Extents;
  readonly window: Window;
  readonly groups: number;
  /** Distance of neighbouring taps. */
  readonly dilation: readonly [vertical: number, horizontal: number];
}

/** im2col table of a dilated kernel: the taps of the kernel with zeros between them that fall on its own. */
function dilatedTable(
  input: Extents,
  grid: readonly [number, number],
  window: Window,
  dilation: readonly [number, number],
): RowTable {
  const [height, width] = window.kernel;
  if (dilation[0] === 1 && dilation[1] === 1) return im2colTable(input, grid, window);
  const places = grid[0] * grid[1];
  const table = new Int32Array(input[0] * height * width * places);
  let at = 0;
  for (let ky = 0; ky < height; ky++)
    for (let kx = 0; kx < width; kx++) {
      // One tap is a kernel of one pixel, moved.
      const { stride, padding } = window;
      const moved: Window = {
        kernel: [1, 1],
        stride,
        padding: [padding[0] - ky * dilation[0], padding[1] - kx * dilation[1]],
      };
      const tap = im2colTable(input, grid, moved);
      for (let c = 0; c < input[0]; c++)
        table.set(tap.subarray(c * places, (c + 1) * places), (c * height * width + at) * places);
      at++;
    }
  return table;
}

export function groupedProduct({ input, output, window, groups, dilation }: GroupedShape) {
  const [channels, rows, columns] = output;
  const places = rows * columns;
  const fanIn = (input[0] / groups) * window.kernel[0] * window.kernel[1];
  const table = dilatedTable(input, [rows, columns], window, dilation);
  const stack = (weight: Tensor) => reshape(weight, [groups, channels / groups, fanIn]);
  return {
    linear(weight: Tensor, x: Tensor): Tensor {
      const n = x.shape[1] as number;
      const patches = reshape(gatherRows(x, table), [groups, fanIn, places * n]);
      return reshape(batchedMatmul(stack(weight), patches), [channels * places, n]);
    },
    adjoint(weight: Tensor, a: Tensor): Tensor {
      const n = a.shape[1] as number;
      const seen = batchedMatmul(
        transpose(stack(weight), [0, 2, 1]),
        reshape(a, [groups, channels / groups, places * n]),
      );
      return scatterRows(reshape(seen, [groups * fanIn * places, n]), table, featuresOf(input));
    },
  };
}
