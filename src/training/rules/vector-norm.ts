/** ‖x‖₂ of a long vector as a graph. */
import {
  abs,
  div,
  maximum,
  mul,
  pad,
  reduceMax,
  reshape,
  sqrt,
  square,
  sum,
  type Tensor,
} from '../../graph/index.js';

/** Numbers that are put together at a time: a device has one group of threads for each row. */
const ROW = 1024;

/** What nothing is divided by: no norm that matters is as small. */
export const TINY = 1e-30;

/**
 * m·√Σ(x/m)², m = max |x|, so that squares neither overflow nor vanish: a scalar. Rows first, so that float32
 * loses little.
 */
export function vectorNorm(x: Tensor): Tensor {
  const [size] = x.shape as [number];
  const rows = Math.ceil(size / ROW);
  const columns = Math.ceil(size / rows);
  const matrix = reshape(pad(x, 0, 0, rows * columns - size), [rows, columns]);
  const overAll = (fold: (y: Tensor, axes: readonly number[]) => Tensor, y: Tensor) =>
    fold(fold(y, [1]), [0]);
  const largest = maximum(overAll(reduceMax, abs(matrix)), TINY);
  return reshape(mul(largest, sqrt(overAll(sum, square(div(matrix, largest))))), []);
}
