/**
 * Views of draft nodes: put one behind another, let pass by element-wise layers, or made into nodes where the
 * order of features matters.
 */
import { type Extents, featuresOf } from '../layers/layer.js';
import { INPUT } from '../network.js';
import {
  bothHalves,
  type DoubleDouble,
  type Doubles,
  doubles,
  entry,
  plus,
  product,
} from './double-double.js';
import {
  type Activation,
  append,
  type Draft,
  type DraftNode,
  type DraftWeights,
  extentsOf,
  perStretch,
  sizeOf,
  type View,
} from './draft.js';
import { integersOf } from './merged.js';

/** A look at x through one more table: entry i is x's feature table[i], or constants[i] where that is −1. */
export function through(x: Activation, table: Int32Array, constants?: Float64Array): View | undefined {
  const from = x.view?.from ?? sizeOf(x.shape);
  const { table: inner, constants: innerConstants } = x.view ?? {};
  const composed = inner ? table.map((i) => (i < 0 ? -1 : (inner[i] as number))) : table;
  const filled =
    constants || innerConstants
      ? Float64Array.from(table, (i, k) => (i < 0 ? (constants?.[k] ?? 0) : (innerConstants?.[i] ?? 0)))
      : undefined;
  const all = composed.length === from && composed.every((row, i) => row === i);
  return all ? undefined : { from, table: composed, constants: filled };
}

/** Whether each feature of the node is seen exactly once. */
export function isPermutation({ from, table }: View): boolean {
  if (table.length !== from) return false;
  const seen = new Uint8Array(from);
  for (const row of table) {
    if (row < 0 || seen[row]) return false;
    seen[row] = 1;
  }
  return true;
}

/** Extents of the output of x's node, whatever of it is seen. */
export function nodeExtents(draft: Draft, x: Activation): Extents {
  if (x.view === undefined) return extentsOf(x.shape);
  return x.node === INPUT ? [x.view.from, 1, 1] : (draft[x.node] as DraftNode).output;
}

/**
 * The same activation as the output of a node of its own: a selection, or a linear layer whose rows are
 * selected.
 */
export function materialized(draft: Draft, x: Activation): Activation {
  const { view } = x;
  if (view === undefined) return x;
  const plain: Activation = { ...x, view: undefined };
  const before = x.node === INPUT ? undefined : draft[x.node];
  if (x.exclusive && before?.kind === 'linear' && view.table.length <= before.bias.length) {
    draft[x.node] = { ...before, ...selectedRows(before, view), output: [view.table.length, 1, 1] };
    return plain;
  }
  const known = draft.findIndex(
    (node) => node.kind === 'selection' && node.view === view && node.inputs[0] === x.node,
  );
  if (known >= 0) return { ...plain, node: known, exclusive: false };
  const node: DraftNode = {
    kind: 'selection',
    inputs: [x.node],
    input: nodeExtents(draft, x),
    output: extentsOf(x.shape),
    view,
  };
  return { ...plain, ...append(draft, node, x.shape) };
}

/** Rows of W x + b that a view selects; its constants are rows of zeros with a bias. */
function selectedRows(
  { weight, bias, biasLow, foldings }: DraftWeights,
  { table, constants }: View,
): DraftWeights {
  const width = weight.length / bias.length;
  const selected = new Float64Array(table.length * width);
  table.forEach((row, i) => {
    if (row >= 0) selected.set(weight.subarray(row * width, (row + 1) * width), i * width);
  });
  return {
    weight: selected,
    foldings,
    factors: undefined,
    exactBias: undefined,
    biasLow: biasLow && Float64Array.from(table, (row) => (row < 0 ? 0 : (biasLow[row] as number))),
    bias: Float64Array.from(table, (row, i) => (row < 0 ? (constants?.[i] ?? 0) : (bias[row] as number))),
  };
}

/**
 * A layer that acts on each feature alone, `make` given what it reads and its extents: permutations of
 * features stay behind it.
 */
export function pointwise(
  draft: Draft,
  x: Activation,
  make: (inputs: readonly [number], output: Extents) => DraftNode,
): Activation {
  if (x.view && !isPermutation(x.view)) return pointwise(draft, materialized(draft, x), make);
  return { ...x, ...append(draft, make([x.node], nodeExtents(draft, x)), x.shape) };
}

/** Multiplications that the weights of a node may take: error bounds have room for as many roundings. */
const MOST_FOLDINGS = 3;
/** A sum below this share of its terms is not folded: what is left of it may be an error. */
const CANCELLED = 2 ** -40;
/** Products below this may have lost digits to underflow, and are not folded. */
const SMALLEST = 2 ** -900;

/**
 * s∘(W x + b) + t as weights, with one s and t per row: of a transposed convolution per output channel.
 * Undefined where folding would lose digits: the map stays a node of its own then.
 */
function scaledRows(
  node: DraftNode & DraftWeights,
  scale: Doubles,
  shift: Doubles,
): DraftWeights | undefined {
  const { weight, weightLow, bias, biasLow, foldings = 0, factors } = node;
  const row = weight.length / bias.length;
  let outputOf = (i: number): number => Math.floor(i / row);
  if (node.kind === 'transposed') {
    // W is [in, out/groups, kernel]: an input channel feeds the output channels of its group.
    const { channels, groups = 1, kernel } = node.geometry;
    const [taps, each] = [sizeOf(kernel), channels / groups];
    const inputsEach = node.input[0] / groups;
    outputOf = (i) => Math.floor(i / (taps * each * inputsEach)) * each + (Math.floor(i / taps) % each);
  }
  const scales = scale.low !== undefined || !scale.high.every((s) => Math.abs(s) === 1 || s === 0);
  const identity = !scales && scale.high.every((s) => s === 1);
  if (scales && foldings === MOST_FOLDINGS) return undefined;
  let loses = false;
  let exactBias = node.exactBias === true;
  const scaled = scales
    ? weight.map((w, i) => {
        const s = scale.high[outputOf(i)] as number;
        const folded = w * s;
        loses ||= w !== 0 && s !== 0 && !(Math.abs(folded) >= SMALLEST);
        return folded;
      })
    : weight.map((w, i) => w * (scale.high[outputOf(i)] as number));
  const sums = doubles(bias.length, (i) => {
    const [b, s, t] = [entry({ high: bias, low: biasLow }, i), entry(scale, i), entry(shift, i)];
    const multiple = product(b, s);
    const sum = plus(multiple, t);
    const exact = b[1] === 0 && s[1] === 0 && t[1] === 0 && multiple[1] === 0;
    exactBias &&= exact || (identity && isSum(sum, b, t));
    const terms = Math.abs(multiple[0]) + Math.abs(t[0]);
    loses ||= b[0] !== 0 && s[0] !== 0 && !(Math.abs(multiple[0]) >= SMALLEST);
    loses ||= !exact && !(Math.abs(sum[0]) >= CANCELLED * terms);
    return sum;
  });
  if (loses) return undefined;
  return {
    weight: scaled,
    weightLow: weightLow?.map((w, i) => w * (scale.high[outputOf(i)] as number)),
    bias: sums.high,
    biasLow: sums.low,
    foldings: foldings + (scales ? 1 : 0),
    factors: identity ? factors : undefined,
    exactBias,
  };
}

/** Whether sum = b + t exactly, of numbers of any digits. */
function isSum(sum: DoubleDouble, b: DoubleDouble, t: DoubleDouble): boolean {
  const rest = integersOf([sum[0]], [sum[1]], [-b[0]], [-b[1]], [-t[0]], [-t[1]]);
  return rest?.values[0] === 0n;
}

const ofFloats = (values: Float64Array | Doubles): Doubles =>
  values instanceof Float64Array ? { high: values } : values;

/** One value per row of both halves, or undefined where a row has several. */
function perRow(values: Doubles, rows: number): Doubles | undefined {
  const high = perStretch(values.high, rows);
  const low = values.low && perStretch(values.low, rows);
  return high && (values.low === undefined || low) ? { high, ...(low && { low }) } : undefined;
}

/**
 * x ↦ s∘x + t with one s and one t per feature.
 * @param alone whether it is a node of its own, whatever the numbers are
 */
export function elementwiseAffine(
  draft: Draft,
  x: Activation,
  scales: Float64Array | Doubles,
  shifts: Float64Array | Doubles,
  alone = false,
): Activation {
  const [scale, shift] = [ofFloats(scales), ofFloats(shifts)];
  const identity = scale.low === undefined && scale.high.every((s) => s === 1);
  if (!alone && identity && shift.high.every((t) => t === 0)) return x;
  const { view } = x;
  if (view) {
    if (!isPermutation(view)) return elementwiseAffine(draft, materialized(draft, x), scale, shift, alone);
    const turned = (half: Float64Array): Float64Array => {
      const ofNode = new Float64Array(view.from);
      view.table.forEach((row, i) => {
        ofNode[row] = half[i] as number;
      });
      return ofNode;
    };
    const { node, exclusive } = elementwiseAffine(
      draft,
      { ...x, view: undefined, shape: nodeExtents(draft, x) },
      bothHalves(scale, turned),
      bothHalves(shift, turned),
      alone,
    );
    return { ...x, node, exclusive };
  }
  const before = x.node === INPUT ? undefined : draft[x.node];
  if (!alone && x.exclusive && before !== undefined && 'weight' in before) {
    const rows = before.bias.length;
    const [rowScale, rowShift] = [perRow(scale, rows), perRow(shift, rows)];
    const folded = rowScale && rowShift && scaledRows(before, rowScale, rowShift);
    if (folded) {
      draft[x.node] = { ...before, ...folded };
      return x;
    }
  }
  const output = extentsOf(x.shape);
  if (featuresOf(output) !== scale.high.length)
    throw new RangeError(`expected ${featuresOf(output)} factors, got ${scale.high.length}`);
  return {
    ...x,
    ...append(
      draft,
      {
        kind: 'scale',
        inputs: [x.node],
        output,
        weight: scale.high,
        weightLow: scale.low,
        bias: shift.high,
        biasLow: shift.low,
      },
      x.shape,
    ),
  };
}
