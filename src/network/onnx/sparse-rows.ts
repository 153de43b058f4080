/** Rows of a matrix without their zeros. */
import type { Integers } from './draft.js';

export interface SparseRows<T> {
  /** Where each row begins among the numbers, and where the last one ends. */
  readonly starts: Int32Array;
  readonly columns: Int32Array;
  readonly values: ArrayLike<T>;
}

/** The numbers of a row-major matrix that are not zero. */
export function sparseRows(matrix: Float64Array, rows: number): SparseRows<number> {
  const { starts, columns, at } = placesOf(matrix, rows, 0);
  return { starts, columns, values: Float64Array.from(at, (place) => matrix[place] as number) };
}

/** The same of integers. */
export function sparseIntegers({ values }: Integers, rows: number): SparseRows<bigint> {
  const { starts, columns, at } = placesOf(values, rows, 0n);
  return { starts, columns, values: Array.from(at, (place) => values[place] as bigint) };
}

function placesOf<T>(matrix: ArrayLike<T>, rows: number, zero: T) {
  const width = rows === 0 ? 0 : matrix.length / rows;
  let used = 0;
  for (let at = 0; at < matrix.length; at++) if (matrix[at] !== zero) used++;
  const [starts, columns, places] = [new Int32Array(rows + 1), new Int32Array(used), new Int32Array(used)];
  let count = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) {
      if (matrix[row * width + column] === zero) continue;
      columns[count] = column;
      places[count++] = row * width + column;
    }
    starts[row + 1] = count;
  }
  return { starts, columns, at: places };
}

/** Calls `each` with every number of a row that is not zero, and its column. */
export function eachOf<T>(
  { starts, columns, values }: SparseRows<T>,
  row: number,
  each: (value: T, column: number) => void,
): void {
  const end = starts[row + 1] as number;
  for (let k = starts[row] as number; k < end; k++) each(values[k] as T, columns[k] as number);
}
