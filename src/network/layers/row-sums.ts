/** Sums of chosen rows: what selections and pools are made of, forwards and backwards. */
import {
  addAll,
  gatherRows,
  invertTable,
  type RowTable,
  reshape,
  sum,
  type Tensor,
  zeros,
} from '../../graph/index.js';

/**
 * Up to so many terms, gathers of whole rows and one variadic sum are faster than one gather and a reduction.
 */
const FEW_TERMS = 16;

/** y_i = Σ_t x_{T(i, t)}, [rows, n], with T [rows, terms]; terms of −1 are zero. */
export function rowSums(x: Tensor, table: RowTable, rows: number): Tensor {
  const terms = table.length / rows;
  const n = x.shape[1] as number;
  if (terms === 0) return zeros([rows, n], x.dtype);
  if (terms > FEW_TERMS) return reshape(sum(reshape(gatherRows(x, table), [rows, terms, n]), [1]), [rows, n]);
  return addAll(columnsOf(table, rows).map((column) => gatherRows(x, column)));
}

/** The table [rows of x, terms] of the adjoint: the rows of T that each row of x counts in. */
export function adjointTable(table: RowTable, rows: number, inputs: number): RowTable {
  const terms = table.length / rows;
  const readers = invertTable(table, inputs);
  const out = new Int32Array(inputs * readers.length).fill(-1);
  readers.forEach((places, k) => {
    places.forEach((place, row) => {
      if (place >= 0) out[row * readers.length + k] = Math.floor(place / terms);
    });
  });
  return out;
}

const columns = new WeakMap<RowTable, RowTable[]>();
function columnsOf(table: RowTable, rows: number): RowTable[] {
  const known = columns.get(table);
  if (known) return known;
  const terms = table.length / rows;
  const made =
    terms === 1
      ? [table]
      : Array.from({ length: terms }, (_, t) =>
          Int32Array.from({ length: rows }, (_, i) => table[i * terms + t] as number),
        );
  columns.set(table, made);
  return made;
}
