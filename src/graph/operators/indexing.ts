/**
 * Whole-row selection: by tables fixed in the graph (im2col and its adjoint) or by indices given at run time.
 */
import { remembered } from '../remembered.js';
import {
  apply,
  type FloatType,
  fail,
  GraphError,
  type Operator,
  type Shape,
  sameShape,
  sizeOf,
  type Tensor,
} from '../tensor.js';
import { add, addAll } from './arithmetic.js';
import { beforeBroadcast, broadcastTo } from './broadcasting.js';
import { reshape, transpose } from './layout.js';
import { constant, uniformValue, zeros } from './leaves.js';

/** Row numbers of a source; −1 selects a row of zeros. */
export type RowTable = Int32Array;

/** Along which axis a table's rows lie: 0, or 1 behind an axis of members. */
const axisOf = (node: Tensor): 0 | 1 => (node.attributes.axis as 1 | undefined) ?? 0;
const extentOf = (node: Tensor): number => (node.inputs[0] as Tensor).shape[axisOf(node)] as number;

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

const inverses = remembered<RowTable, RowTable[]>();

/**
 * Tables that carry a gradient back: source row r receives, from the k-th table, the k-th place that selected
 * it. As many tables as the most often selected row has places; summing whole-row gathers beats any scatter
 * in ORT.
 */
export const invertTable = (table: RowTable, rows: number): RowTable[] =>
  inverses(table, `${rows}`, () => inverseOf(table, rows));

function inverseOf(table: RowTable, rows: number): RowTable[] {
  const used = new Int32Array(rows);
  const result: RowTable[] = [];
  table.forEach((row, place) => {
    if (row < 0) return;
    const k = used[row] as number;
    used[row] = k + 1;
    if (k === result.length) result.push(new Int32Array(rows).fill(-1));
    (result[k] as RowTable)[row] = place;
  });
  return result;
}

/** Each member's part of a node's value, made of the same part of its input. */
function byMember(node: Tensor, x: Float64Array, make: (part: Float64Array) => Float64Array): Float64Array {
  if (axisOf(node) === 0) return make(x);
  const members = node.shape[0] as number;
  const [from, to] = [x.length / members, sizeOf(node.shape) / members];
  const out = new Float64Array(members * to);
  for (let i = 0; i < members; i++) out.set(make(x.subarray(i * from, (i + 1) * from)), i * to);
  return out;
}

/** The shape with another number of rows. */
const withRows = (shape: Shape, axis: 0 | 1, rows: number): Shape =>
  shape.map((extent, i) => (i === axis ? rows : extent));
const rowSizeOf = (node: Tensor): number => sizeOf(node.shape.slice(axisOf(node) + 1));

const gatherOperator: Operator = {
  name: 'GatherRows',
  infer([x], { table, axis = 0 }) {
    const { shape, dtype } = x as Tensor;
    const rows = shape[axis as 0 | 1] ?? 0;
    if ((table as RowTable).some((row) => row < -1 || row >= rows))
      fail(
        'GatherRows',
        `rows up to ${(table as RowTable).reduce((a, b) => Math.max(a, b), -1)} (−1 for zeros)`,
        [x as Tensor],
      );
    return { shape: withRows(shape, axis as 0 | 1, (table as RowTable).length), dtype };
  },
  encode: (node, [x], emit) =>
    emit.node('Gather', [x as string, emit.constant(tableOf(node), [tableOf(node).length])], {
      axis: { int: axisOf(node) },
    }),
  gradient: (node, g) => [scatterRows(g, tableOf(node), extentOf(node), axisOf(node))],
  lift: (node, [x]) => gatherRows(x as Tensor, tableOf(node), liftedAxis(node)),
  evaluate: (node, [x]) =>
    byMember(node, x as Float64Array, (part) => copyRows(part, tableOf(node), rowSizeOf(node))),
};

/**
 * Rows of x [rows, …], or with axis 1 of each member of x [members, rows, …], chosen by a table;
 * differentiable, and so is its derivative.
 */
export const gatherRows = (x: Tensor, table: RowTable, axis: 0 | 1 = 0): Tensor =>
  apply(gatherOperator, [x], axis === 0 ? { table } : { table, axis });

/** The axis of a lifted selection. A population of populations there is not. */
function liftedAxis(node: Tensor): 1 {
  if (axisOf(node) === 0) return 1;
  throw new GraphError(`${node.operator.name}: expected a graph without an axis of members to lift`);
}

const scatterTableOperator: Operator = {
  name: 'ScatterRows',
  infer([x], { table, rows, axis = 0 }) {
    const { shape, dtype } = x as Tensor;
    const places = (table as RowTable).length;
    if (shape[axis as 0 | 1] !== places)
      fail('ScatterRows', `one row for each of ${places} places`, [x as Tensor]);
    return { shape: withRows(shape, axis as 0 | 1, rows as number), dtype };
  },
  encode: (node) => {
    throw new GraphError(`${node.operator.name}: expected to be lowered to gathers before encoding`);
  },
  gradient: (node, g) => [gatherRows(g, tableOf(node), axisOf(node))],
  lift: (node, [x]) =>
    scatterRows(x as Tensor, tableOf(node), node.attributes.rows as number, liftedAxis(node)),
  evaluate: (node, [x]) =>
    byMember(node, x as Float64Array, (part) => {
      const size = rowSizeOf(node);
      const out = new Float64Array((node.attributes.rows as number) * size);
      tableOf(node).forEach((row, i) => {
        for (let j = 0; row >= 0 && j < size; j++)
          out[row * size + j] = (out[row * size + j] as number) + (part[i * size + j] as number);
      });
      return out;
    }),
};

/**
 * Adds row i of x to row table[i] of a zero tensor of `rows` rows: the adjoint of gatherRows, and each is the
 * other's derivative.
 */
export const scatterRows = (x: Tensor, table: RowTable, rows: number, axis: 0 | 1 = 0): Tensor =>
  apply(scatterTableOperator, [x], axis === 0 ? { table, rows } : { table, rows, axis });
export const isScatterRows = (tensor: Tensor): boolean => tensor.operator === scatterTableOperator;

/** ScatterRows as the gathers that ORT runs fast: for each target row its first, second, … source, summed. */
export function scatterAsGathers(node: Tensor): Tensor {
  const [x] = node.inputs as [Tensor];
  const terms = invertTable(tableOf(node), node.attributes.rows as number).map((table) =>
    gatherRows(x, table, axisOf(node)),
  );
  return terms.length === 0 ? zeros(node.shape, node.dtype) : addAll(terms);
}
export const isGatherRows = (tensor: Tensor): boolean => tensor.operator === gatherOperator;
export const gatherTable = tableOf;
export const gatherAxis = axisOf;

const takeOperator: Operator = {
  name: 'TakeRows',
  infer(inputs) {
    const [x, rows] = inputs as [Tensor, Tensor];
    if (rows.dtype !== 'int32' || rows.shape.length !== 1 || x.shape.length === 0)
      fail('TakeRows', 'rows and int32 indices [n]', inputs);
    return { shape: [rows.shape[0] as number, ...x.shape.slice(1)], dtype: x.dtype };
  },
  encode: (_, inputs, emit) => emit.node('Gather', inputs, { axis: { int: 0 } }),
  gradient(node, g) {
    const [x, rows] = node.inputs as [Tensor, Tensor];
    return [scatterAddRows(g, rows, x.shape[0] as number), undefined];
  },
  lift(node, [x, rows], [liftedX]) {
    const of = x as Tensor;
    const count = node.shape[0] as number;
    const members = (liftedX ? of : (rows as Tensor)).shape[0] as number;
    const taken = liftedX
      ? takeRows(membersAsRows(of), memberRows(rows as Tensor, members, of.shape[1] as number))
      : takeRows(of, reshape(rows as Tensor, [members * count]));
    return reshape(taken, [members, ...node.shape]);
  },
  evaluate: (node, [x, rows]) => copyRows(x as Float64Array, rows as Float64Array, rowSize(node)),
};

/** [members, rows, …] as [members · rows, …]. */
const membersAsRows = (x: Tensor): Tensor =>
  reshape(x, [(x.shape[0] as number) * (x.shape[1] as number), ...x.shape.slice(2)]);

/**
 * Row numbers of each member, [members, n] or for all [n], as numbers among the rows of all members, `extent`
 * each.
 */
function memberRows(rows: Tensor, members: number, extent: number): Tensor {
  const offsets = constant(
    Int32Array.from({ length: members }, (_, i) => i * extent),
    [members, 1],
    'int32',
  );
  const all = add(rows, offsets);
  return reshape(all, [sizeOf(all.shape)]);
}
/** Rows of x chosen by int32 indices given at run time (each ≥ 0). */
export const takeRows = (x: Tensor, rows: Tensor): Tensor => apply(takeOperator, [x, rows]);

const hotOperator: Operator = {
  name: 'OneHotRows',
  infer(inputs, attributes) {
    const [index] = inputs as [Tensor];
    if (index.dtype !== 'int32' || index.shape.length !== 1) fail('OneHotRows', 'int32 indices [n]', inputs);
    return {
      shape: [attributes.rows as number, index.shape[0] as number],
      dtype: attributes.dtype as FloatType,
    };
  },
  encode(node, [index], emit) {
    const [rows, count] = node.shape as [number, number];
    const scalar = (value: number) =>
      emit.constant(node.dtype === 'float64' ? Float64Array.of(value) : Float32Array.of(value), []);
    const line = emit.node('Reshape', [index as string, emit.constant([1n, BigInt(count)], [2])]);
    const numbers = emit.constant(
      Int32Array.from({ length: rows }, (_, i) => i),
      [rows, 1],
    );
    return emit.node('Where', [emit.node('Equal', [numbers, line]), scalar(1), scalar(0)]);
  },
  gradient: () => [undefined],
  lift(node, [index]) {
    const [rows, count] = node.shape as [number, number];
    const members = (index as Tensor).shape[0] as number;
    return transpose(
      reshape(equalRows(reshape(index as Tensor, [members * count]), rows, node.dtype as FloatType), [
        rows,
        members,
        count,
      ]),
      [1, 0, 2],
    );
  },
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
export const equalRows = (index: Tensor, rows: number, dtype: FloatType): Tensor =>
  apply(hotOperator, [index], { rows, dtype });

const scatterOperator: Operator = {
  name: 'ScatterAddRows',
  infer(inputs) {
    const [base, x, rows] = inputs as [Tensor, Tensor, Tensor];
    if (rows.dtype !== 'int32' || rows.shape.length !== 1 || rows.shape[0] !== x.shape[0])
      fail('ScatterAddRows', 'one int32 index per row', [x, rows]);
    if (base.dtype !== x.dtype || !sameShape(base.shape.slice(1), x.shape.slice(1)))
      fail('ScatterAddRows', 'rows like those of the base', inputs);
    return { shape: base.shape, dtype: x.dtype };
  },
  encode(_, [base, x, rows], emit) {
    // Reshaped before it is int64, a type that WebGPU casts to but does not reshape.
    const column = emit.node('Reshape', [rows as string, emit.constant([-1n, 1n], [2])]);
    const wide = emit.node('Cast', [column], { to: { int: INT64 } });
    return emit.node('ScatterND', [base as string, wide, x as string], { reduction: { string: 'add' } });
  },
  gradient: (node, g) => [g, takeRows(g, node.inputs[2] as Tensor), undefined],
  liftsAll: true,
  lift(node, [base, x, rows]) {
    const [members, extent] = (base as Tensor).shape as [number, number];
    const flat = [
      membersAsRows(base as Tensor),
      membersAsRows(x as Tensor),
      memberRows(rows as Tensor, members, extent),
    ];
    return reshape(apply(node.operator, flat), [members, ...node.shape]);
  },
  evaluate(node, [base, x, rows]) {
    const size = rowSize(node);
    const out = (base as Float64Array).slice();
    (rows as Float64Array).forEach((row, i) => {
      for (let j = 0; j < size; j++)
        out[row * size + j] = (out[row * size + j] as number) + ((x as Float64Array)[i * size + j] as number);
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

/**
 * base + addend; rows scattered into zeros are scattered into the base instead, which touches no other row.
 */
export function accumulate(base: Tensor, addend: Tensor): Tensor {
  const [zero, x, rows] = addend.inputs;
  const scattered = addend.operator === scatterOperator && zero !== undefined && isZero(zero);
  return scattered ? apply(scatterOperator, [base, x as Tensor, rows as Tensor]) : add(base, addend);
}
const isZero = (x: Tensor): boolean => uniformValue(beforeBroadcast(x)) === 0;

/** Rows chosen by a table that holds −1, from a source known to have a zero row at `zeroRow`. */
export const withZeroRow = (table: RowTable, zeroRow: number): RowTable =>
  table.map((row) => (row < 0 ? zeroRow : row));
/** 0…n−1 as an int32 constant. */
export const range = (n: number): Tensor =>
  constant(
    Int32Array.from({ length: n }, (_, i) => i),
    [n],
    'int32',
  );
