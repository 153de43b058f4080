/**
 * Gemm and MatMul with a constant matrix on either side, of any rank.
 *
 * A product that maps one vector of an image is a linear layer. One that maps many of them alike, [batch,
 * places, in] · [in, out], is a convolution whose kernel is one vector, and its output [out, places] is seen
 * transposed.
 */
import { INPUT } from '../network.js';
import { batchAxisOf, transposed } from './arrangement.js';
import { type DoubleDouble, type Doubles, doubles, plus, product } from './double-double.js';
import { type Activation, append, type DraftNode, sizeOf, type View } from './draft.js';
import { constantPerFeature } from './elementwise.js';
import { mergedWith } from './merged.js';
import {
  anyActivation,
  type Call,
  checkExtents,
  describeValue,
  fileShape,
  floats,
  imageShape,
  integer,
  type OperatorReader,
  real,
  refuse,
  shapeText,
} from './operator.js';
import { elementwiseAffine, materialized, nodeExtents, through } from './view.js';

/** A constant matrix [rows, columns], row-major. */
interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
  /** 1 where a factor rounded the values; 0 if left out. */
  readonly foldings?: number;
}

function turned({ rows, columns, values, foldings }: Matrix): Matrix {
  const out = new Float64Array(values.length);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j] as number;
  return { rows: columns, columns: rows, values: out, foldings };
}

/**
 * A view of fewer features than this share of its node's is made before a matrix reads it, instead of giving
 * the matrix columns of zeros.
 */
const SEEN_SHARE = 0.5;

/** Whether a view shows a feature more than once. */
function repeats({ from, table }: View): boolean {
  const seen = new Uint8Array(from);
  for (const row of table) {
    if (row < 0) continue;
    if (seen[row]) return true;
    seen[row] = 1;
  }
  return false;
}

/** W x for one vector an image: views become columns of W. */
function linear(call: Call, x: Activation, matrix: Matrix): Activation {
  const { rows, columns, values, foldings = 0 } = matrix;
  const { view } = x;
  // A feature that is seen twice would need the sum of two columns, rounded.
  if (view && (view.table.length < SEEN_SHARE * view.from || repeats(view)))
    return linear(call, materialized(call.draft, x), matrix);
  let weight = values;
  let biases: Doubles = { high: new Float64Array(rows) };
  if (view) {
    const [width, { constants }] = [view.from, view];
    weight = new Float64Array(rows * width);
    biases = doubles(rows, (o) => {
      let sum: DoubleDouble = [0, 0];
      view.table.forEach((from, i) => {
        const w = values[o * columns + i] as number;
        if (from >= 0) weight[o * width + from] = w;
        else if (constants) sum = plus(sum, product([w, 0], [constants[i] as number, 0]));
      });
      return sum;
    });
  }
  const { high: bias, low: biasLow } = biases;
  const before = x.node === INPUT ? undefined : call.draft[x.node];
  if (x.exclusive && before?.kind === 'linear' && foldings === 0 && biases.high.every((b) => b === 0)) {
    const merged = mergedWith(before, weight, rows);
    if (merged) {
      call.draft[x.node] = merged;
      return { kind: 'activation', node: x.node, shape: [rows], exclusive: true };
    }
  }
  // The extents before any flattening: linear layers read an image's features in their order.
  const input = view
    ? nodeExtents(call.draft, x)
    : x.node === INPUT
      ? call.input
      : (call.draft[x.node] as DraftNode).output;
  return append(
    call.draft,
    {
      kind: 'linear',
      inputs: [x.node],
      input,
      output: [rows, 1, 1],
      ...{ weight, foldings, bias, biasLow },
      exactBias: view?.constants === undefined,
    },
    [rows],
  );
}

/** Whether a view of [in, places] shows it as [places, in]. */
const isTransposition = ({ from, table }: View, places: number, inputs: number): boolean =>
  from === table.length && table.every((row, i) => row === (i % inputs) * places + Math.floor(i / inputs));

/**
 * W x for each of `places` vectors of an image, x [places, in], or [in, places] with `columns`: a node [out,
 * places].
 */
function convolved(
  call: Call,
  x: Activation,
  { rows, columns: inputs, values }: Matrix,
  places: number,
  columns: boolean,
): Activation {
  const before =
    !columns && x.view && isTransposition(x.view, places, inputs) ? { ...x, view: undefined } : undefined;
  const { node } = before ?? materialized(call.draft, x);
  const asColumns = columns || before !== undefined;
  const input = asColumns ? ([inputs, places, 1] as const) : ([1, places, inputs] as const);
  const kernel = asColumns ? ([1, 1] as const) : ([1, inputs] as const);
  const geometry = { channels: rows, kernel };
  return append(
    call.draft,
    {
      kind: 'convolution',
      inputs: [node],
      input,
      output: [rows, places, 1],
      geometry,
      weight: values,
      bias: new Float64Array(rows),
    },
    [rows, places],
  );
}

/** x · Wᵀ over the last axis of x. */
function timesRight(call: Call, x: Activation, matrix: Matrix, keep: boolean): Activation {
  const shape = fileShape(x);
  const places = sizeOf(shape.slice(0, -1));
  const output = [...shape.slice(0, -1), ...(keep ? [matrix.rows] : [])];
  checkExtents(call, output);
  const extents = imageShape(call, output, batchAxisOf(call, x));
  if (places === 1) return { ...linear(call, x, matrix), ...extents };
  const made = convolved(call, x, matrix, places, false);
  const table = Int32Array.from(
    { length: places * matrix.rows },
    (_, i) => (i % matrix.rows) * places + Math.floor(i / matrix.rows),
  );
  return { ...made, ...extents, view: through(made, table) };
}

/** W · x over the last axis but one of x; x has two axes or more. */
function timesLeft(call: Call, x: Activation, matrix: Matrix, keep: boolean): Activation {
  const shape = fileShape(x);
  const rank = shape.length;
  const columns = shape[rank - 1] as number;
  const lead = shape.slice(0, -2);
  const stacks = sizeOf(lead);
  const output = [...lead, ...(keep ? [matrix.rows] : []), columns];
  checkExtents(call, output);
  const extents = imageShape(call, output, batchAxisOf(call, x));
  if (stacks * columns === 1) return { ...linear(call, x, matrix), ...extents };
  const front =
    stacks === 1 ? x : (transposed(call, x, [rank - 2, ...lead.map((_, i) => i), rank - 1]) as Activation);
  const made = convolved(call, front, matrix, stacks * columns, true);
  const table = Int32Array.from({ length: stacks * matrix.rows * columns }, (_, i) => {
    const [stack, row] = [Math.floor(i / (matrix.rows * columns)), Math.floor(i / columns) % matrix.rows];
    return (row * stacks + stack) * columns + (i % columns);
  });
  return { ...made, ...extents, view: through(made, table) };
}

/** Refuses a product over the axis of the batch. */
function checkBatch(call: Call, x: Activation, axis: number): void {
  if (axis < 0 || axis === batchAxisOf(call, x)) refuse(call, 'vectors of single images', describeValue(x));
}

const matmul: OperatorReader = {
  attributes: [],
  read(call) {
    const left = call.inputs[0]?.kind === 'constant';
    const x = anyActivation(call, left ? 1 : 0);
    const { shape, values } = floats(call, left ? 0 : 1);
    const rank = fileShape(x).length;
    const axis = left && rank > 1 ? rank - 2 : rank - 1;
    const bare = shape.slice(-2);
    // A vector on the left is a row, one on the right a column; its axis goes.
    const [rows, columns] = (bare.length === 2 ? bare : left ? [1, bare[0]] : [bare[0], 1]) as [
      number,
      number,
    ];
    const inputs = left ? columns : rows;
    if (
      sizeOf(shape.slice(0, -2)) !== 1 ||
      shape.length > Math.max(2, rank) ||
      fileShape(x)[axis] !== inputs ||
      values.length === 0 ||
      bare.length === 0
    )
      refuse(
        call,
        'one vector an image or more and a matrix with as many inputs',
        `x ${shapeText(x)}, matrix [${shape.join(',')}]`,
      );
    checkBatch(call, x, axis);
    const matrix = { rows, columns, values };
    if (left && rank > 1) return timesLeft(call, x, matrix, bare.length === 2);
    return timesRight(call, x, left ? matrix : turned(matrix), bare.length === 2);
  },
};

const gemm: OperatorReader = {
  attributes: ['alpha', 'beta', 'transA', 'transB'],
  read(call) {
    const left = call.inputs[0]?.kind === 'constant';
    const given = anyActivation(call, left ? 1 : 0);
    const turn = integer(call, left ? 'transB' : 'transA', 0) !== 0;
    const { shape, values } = floats(call, left ? 0 : 1);
    const turnMatrix = integer(call, left ? 'transA' : 'transB', 0) !== 0;
    const x = turn && fileShape(given).length === 2 ? (transposed(call, given, [1, 0]) as Activation) : given;
    const axis = left ? 0 : 1;
    const inputs = shape[left === turnMatrix ? 0 : 1];
    if (
      fileShape(x).length !== 2 ||
      shape.length !== 2 ||
      fileShape(x)[axis] !== inputs ||
      values.length === 0
    )
      refuse(
        call,
        'x [batch,in] and a matrix with as many inputs',
        `x ${shapeText(x)}, matrix [${shape.join(',')}]${turnMatrix ? ' transposed' : ''}`,
      );
    checkBatch(call, x, axis);
    const alpha = real(call, 'alpha', 1);
    const stored: Matrix = {
      rows: shape[0] as number,
      columns: shape[1] as number,
      values: alpha === 1 ? values : values.map((w) => alpha * w),
      foldings: values.some((w) => product([alpha, 0], [w, 0])[1] !== 0) ? 1 : 0,
    };
    const matrix = left === turnMatrix ? turned(stored) : stored;
    const y = left ? timesLeft(call, x, matrix, true) : timesRight(call, x, matrix, true);
    if (call.inputs[2] === undefined) return y;
    if (call.inputs[2].kind !== 'constant')
      refuse(call, 'input 2 to be a constant', describeValue(call.inputs[2]));
    const beta = real(call, 'beta', 1);
    const addend = constantPerFeature(call, 2, y);
    return elementwiseAffine(
      call.draft,
      y,
      new Float64Array(addend.length).fill(1),
      doubles(addend.length, (i) => product([beta, 0], [addend[i] as number, 0])),
    );
  },
};

export const matrixOperators: Readonly<Record<string, OperatorReader>> = { Gemm: gemm, MatMul: matmul };
