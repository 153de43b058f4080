/** Whole-row selection: by tables fixed in the graph (im2col and its adjoint) or by indices given at run time. */
import { apply, type FloatType, fail, GraphError, type Operator, sameShape, sizeOf, type Tensor } from '../tensor.js';
import { add, addAll } from './arithmetic.js';
import { beforeBroadcast, broadcastTo } from './broadcasting.js';
import { constant, uniformValue, zeros } from './leaves.js';

/** Row numbers of a source; −1 selects a row of zeros. */
export type RowTable = Int32Array;

const rowSize = (tensor: Tensor): number => sizeOf(tensor.shape.slice(1));
const tableOf = (node: Tensor): RowTable => node.attributes.table as RowTable;

function copyRows(source: Float64Array, rows: ArrayLike<number>, size: number): Float64Array {
  const out = new Float64Array(rows.length * size);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row >= 0) out.set(source.subarray(row * size, (row + 1) * size), i * size);
  }
  return out;
}

const inverses = new WeakMap<RowTable, Map<number, RowTable[]>>();

/**
 * Tables that carry a gradient back: source row r receives, from the k-th table, the k-th place that selected it.
 * As many tables as the most often selected row has places; summing whole-row gathers beats any scatter in ORT.
 */
export function invertTable(table: RowTable, rows: number): RowTable[] {
  const cached = inverses.get(table)?.get(rows);
  if (cached) return cached;
  const used = new Int32Array(rows);
  const result: RowTable[] = [];
  table.forEach((row, place) => {
    if (row < 0) return;
    const k = used[row] as number;
    used[row] = k + 1;
    if (k === result.length) result.push(new Int32Array(rows).fill(-1));
    (result[k] as RowTable)[row] = place;
  });
  const byRows = inverses.get(table) ?? new Map<number, RowTable[]>();
  inverses.set(table, byRows.set(rows, result));
  return result;
}

const gatherOperator: Operator = {
  name: 'GatherRows',
  infer([x], attributes) {
    const table = attributes.table as RowTable;
    const rows = (x as Tensor).shape[0] ?? 0;
    if (table.some((row) => row < -1 || row >= rows)) fail('GatherRows', `rows up to ${Math.max(...table)} (−1 for zeros)`, [x as Tensor]);
    return { shape: [table.length, ...(x as Tensor).shape.slice(1)], dtype: (x as Tensor).dtype };
  },
  encode: (node, [x], emit) => emit.node('Gather', [x as string, emit.constant(tableOf(node), [tableOf(node).length])], { axis: { int: 0 } }),
  gradient: (node, g) => [scatterRows(g, tableOf(node), (node.inputs[0] as Tensor).shape[0] as number)],
  evaluate: (node, [x]) => copyRows(x as Float64Array, tableOf(node), rowSize(node)),
};

/** Rows of x [rows, …] chosen by a table; differentiable, and so is its derivative. */
export const gatherRows = (x: Tensor, table: RowTable): Tensor => apply(gatherOperator, [x], { table });

const scatterTableOperator: Operator = {
  name: 'ScatterRows',
  infer([x], attributes) {
    const table = attributes.table as RowTable;
    if ((x as Tensor).shape[0] !== table.length) fail('ScatterRows', `one row for each of ${table.length} places`, [x as Tensor]);
    return { shape: [attributes.rows as number, ...(x as Tensor).shape.slice(1)], dtype: (x as Tensor).dtype };
  },
  encode: (node) => {
    throw new GraphError(`${node.operator.name}: expected to be lowered to gathers before encoding`);
  },
  gradient: (node, g) => [gatherRows(g, tableOf(node))],
  evaluate(node, [x]) {
    const size = rowSize(node);
    const out = new Float64Array(sizeOf(node.shape));
    tableOf(node).forEach((row, i) => {
      for (let j = 0; row >= 0 && j < size; j++) out[row * size + j] = (out[row * size + j] as number) + ((x as Float64Array)[i * size + j] as number);
    });
    return out;
  },
};

/** Adds row i of x to row table[i] of a zero tensor of `rows` rows: the adjoint of gatherRows, and each is the other's derivative. */
export const scatterRows = (x: Tensor, table: RowTable, rows: number): Tensor => apply(scatterTableOperator, [x], { table, rows });
export const isScatterRows = (tensor: Tensor): boolean => tensor.operator === scatterTableOperator;

/** ScatterRows as the gathers that ORT runs fast: for each target row its first, second, … source, summed. */
export function scatterAsGathers(node: Tensor): Tensor {
  const [x] = node.inputs as [Tensor];
  const terms = invertTable(tableOf(node), node.shape[0] as number).map((table) => gatherRows(x, table));
  return terms.length === 0 ? zeros(node.shape, node.dtype) : addAll(terms);
}
export const isGatherRows = (tensor: Tensor): boolean => tensor.operator === gatherOperator;
export const gatherTable = tableOf;

const takeOperator: Operator = {
  name: 'TakeRows',
  infer(inputs) {
    const [x, rows] = inputs as [Tensor, Tensor];
    if (rows.dtype !== 'int32' || rows.shape.length !== 1 || x.shape.length === 0) fail('TakeRows', 'rows and int32 indices [n]', inputs);
    return { shape: [rows.shape[0] as number, ...x.shape.slice(1)], dtype: x.dtype };
  },
  encode: (_, inputs, emit) => emit.node('Gather', inputs, { axis: { int: 0 } }),
  gradient(node, g) {
    const [x, rows] = node.inputs as [Tensor, Tensor];
    return [scatterAddRows(g, rows, x.shape[0] as number), undefined];
  },
  evaluate: (node, [x, rows]) => copyRows(x as Float64Array, rows as Float64Array, rowSize(node)),
};
/** Rows of x chosen by int32 indices given at run time (each ≥ 0). */
export const takeRows = (x: Tensor, rows: Tensor): Tensor => apply(takeOperator, [x, rows]);

const hotOperator: Operator = {
  name: 'OneHotRows',
  infer(inputs, attributes) {
    const [index] = inputs as [Tensor];
    if (index.dtype !== 'int32' || index.shape.length !== 1) fail('OneHotRows', 'int32 indices [n]', inputs);
    return { shape: [attributes.rows as number, index.shape[0] as number], dtype: attributes.dtype as FloatType };
  },
  encode(node, [index], emit) {
    const [rows, count] = node.shape as [number, number];
    const scalar = (value: number) => emit.constant(node.dtype === 'float64' ? Float64Array.of(value) : Float32Array.of(value), []);
    const line = emit.node('Reshape', [index as string, emit.constant([1n, BigInt(count)], [2])]);
    const numbers = emit.constant(
      Int32Array.from({ length: rows }, (_, i) => i),
      [rows, 1],
    );
    return emit.node('Where', [emit.node('Equal', [numbers, line]), scalar(1), scalar(0)]);
  },
  gradient: () => [undefined],
  evaluate(node, [index]) {
    const [rows, count] = node.shape as [number, number];
    const out = new Float64Array(rows * count);
    (index as Float64Array).forEach((row, i) => {
      if (row >= 0 && row < rows) out[row * count + i] = 1;
    });
    return out;
  },
};
/** [rows, n] with 1 where the row's number equals index[n], else 0. */
export const equalRows = (index: Tensor, rows: number, dtype: FloatType): Tensor => apply(hotOperator, [index], { rows, dtype });

const scatterOperator: Operator = {
  name: 'ScatterAddRows',
  infer(inputs) {
    const [base, x, rows] = inputs as [Tensor, Tensor, Tensor];
    if (rows.dtype !== 'int32' || rows.shape.length !== 1 || rows.shape[0] !== x.shape[0]) fail('ScatterAddRows', 'one int32 index per row', [x, rows]);
    if (base.dtype !== x.dtype || !sameShape(base.shape.slice(1), x.shape.slice(1))) fail('ScatterAddRows', 'rows like those of the base', inputs);
    return { shape: base.shape, dtype: x.dtype };
  },
  encode(_, [base, x, rows], emit) {
    // Reshaped before it is int64, a type that WebGPU casts to but does not reshape.
    const column = emit.node('Reshape', [rows as string, emit.constant([-1n, 1n], [2])]);
    const wide = emit.node('Cast', [column], { to: { int: INT64 } });
    return emit.node('ScatterND', [base as string, wide, x as string], { reduction: { string: 'add' } });
  },
  gradient: (node, g) => [g, takeRows(g, node.inputs[2] as Tensor), undefined],
  evaluate(node, [base, x, rows]) {
    const size = rowSize(node);
    const out = (base as Float64Array).slice();
    (rows as Float64Array).forEach((row, i) => {
      for (let j = 0; j < size; j++) out[row * size + j] = (out[row * size + j] as number) + ((x as Float64Array)[i * size + j] as number);
    });
    return out;
  },
};
/** ONNX's number for the element type int64. */
const INT64 = 7;

/** Adds row i of x to row rows[i] of a zero tensor of `count` rows: the adjoint of takeRows. */
export function scatterAddRows(x: Tensor, rows: Tensor, count: number): Tensor {
  const shape = [count, ...x.shape.slice(1)];
  return apply(scatterOperator, [broadcastTo(constant(0, [], x.dtype), shape), x, rows]);
}

/** base + addend; rows scattered into zeros are scattered into the base instead, which touches no other row. */
export function accumulate(base: Tensor, addend: Tensor): Tensor {
  const [zero, x, rows] = addend.inputs;
  const scattered = addend.operator === scatterOperator && zero !== undefined && isZero(zero);
  return scattered ? apply(scatterOperator, [base, x as Tensor, rows as Tensor]) : add(base, addend);
}
const isZero = (x: Tensor): boolean => uniformValue(beforeBroadcast(x)) === 0;

/** Rows chosen by a table that holds −1, from a source known to have a zero row at `zeroRow`. */
export const withZeroRow = (table: RowTable, zeroRow: number): RowTable => table.map((row) => (row < 0 ? zeroRow : row));
/** 0…n−1 as an int32 constant. */
export const range = (n: number): Tensor =>
  constant(
    Int32Array.from({ length: n }, (_, i) => i),
    [n],
    'int32',
  );
