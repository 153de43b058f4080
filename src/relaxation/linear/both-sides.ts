/**
 * Both bounds of every neuron of a layer from lower bounds of rows: those of e_i are the lower bounds, those
 * of −e_i the negatives of the upper ones.
 *
 * All rows at once are an array [n, 2n, batch], and arrays as large on their whole way to the input. Where
 * that is more than may be, or n is above 2048, rows are bounded in pieces, one after the other; unit vectors
 * are then computed from their numbers, as constants would all be held at once.
 */
import {
  abs,
  add,
  broadcastTo,
  concat,
  constant,
  type FloatType,
  mul,
  neg,
  relu,
  reshape,
  slice,
  sub,
  type Tensor,
} from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network, NetworkNode } from '../../network/network.js';
import type { BoundProblem, Bounds } from '../relaxation.js';

/** Floats of the rows that are carried at once, where the problem does not say. */
const ROW_FLOATS = 2 ** 26;
/** Share of them that a piece takes: what one leaves is alive beside the next. */
const PIECE = 1 / 4;
/** Numbers of unit vectors that are made at once: those of 2048 neurons with both signs. */
const UNIT_NUMBERS = 2 ** 23;

/** The widest layer on the way of rows from a node's output to the input. */
export const widestBefore = ({ input, nodes }: Network, node: number): number =>
  nodes
    .slice(0, node + 1)
    .reduce((most, { layer }) => Math.max(most, featuresOf(layer.output)), featuresOf(input));

type Problem = Pick<BoundProblem, 'network' | 'box' | 'rowFloats'>;

const featuresAt = ({ network: { nodes } }: Problem, node: number): number =>
  featuresOf((nodes[node] as NetworkNode).layer.output);

/** Numbers of a row of each box in the widest layer on its way. */
const rowNumbers = ({ network: net, box }: Problem, node: number): number =>
  widestBefore(net, node) * (box.lower.shape[1] as number);

/** Whether rows ±e_i of all features of a node's output may be carried at once, their start a constant. */
export function fitsAtOnce(problem: Problem, node: number): boolean {
  const features = featuresAt(problem, node);
  const { rowFloats = ROW_FLOATS } = problem;
  return 2 * features * rowNumbers(problem, node) <= rowFloats && 2 * features * features <= UNIT_NUMBERS;
}

/**
 * What `below` gives for rows sign · e_i of all features of a node's output, [features, batch], in pieces of
 * so few rows that none is larger than allowed, nor any array [features, features].
 */
export function ofUnitRows(
  problem: Problem,
  node: number,
  below: (rows: Tensor) => Tensor,
  sign: 1 | -1 = 1,
): Tensor {
  const features = featuresAt(problem, node);
  const { box, rowFloats = ROW_FLOATS } = problem;
  const most = Math.min((PIECE * rowFloats) / rowNumbers(problem, node), UNIT_NUMBERS / (2 * features));
  const size = Math.max(1, Math.floor(most));
  const starts = Array.from({ length: Math.ceil(features / size) }, (_, i) => i * size);
  return concat(
    starts.map((start) => below(unitRows(box, features, start, Math.min(features, start + size), sign))),
    0,
  );
}

/**
 * Bounds of all features of a node's output; `below` gives lower bounds [rows, batch] of rows [features,
 * rows, batch].
 */
export function boundBothSides(problem: Problem, node: number, below: (rows: Tensor) => Tensor): Bounds {
  if (!fitsAtOnce(problem, node)) {
    const side = (sign: 1 | -1) => ofUnitRows(problem, node, below, sign);
    return { lower: side(1), upper: neg(side(-1)) };
  }
  const features = featuresAt(problem, node);
  const { lower } = problem.box;
  const bounds = below(signedIdentity(features, lower.shape[1] as number, lower.dtype as FloatType));
  return { lower: slice(bounds, 0, 0, features), upper: neg(slice(bounds, 0, features, 2 * features)) };
}

/** Rows e_i, then −e_i, for each box: [features, 2 · features, batch]. */
function signedIdentity(features: number, batch: number, dtype: FloatType): Tensor {
  const rows = new Float64Array(2 * features * features);
  for (let i = 0; i < features; i++) {
    rows[i * 2 * features + i] = 1;
    rows[i * 2 * features + features + i] = -1;
  }
  return broadcastTo(constant(rows, [features, 2 * features, 1], dtype), [features, 2 * features, batch]);
}

/**
 * Rows sign · e_i, start ≤ i < end, [features, end − start, batch]: max(0, 1 − |k − i|) at feature k, exact.
 * The box takes part, times zero: what depends on constants alone would be computed beforehand, and kept.
 */
function unitRows({ lower }: Bounds, features: number, start: number, end: number, sign: 1 | -1): Tensor {
  const batch = lower.shape[1] as number;
  const numbers = (from: number, to: number, shape: readonly number[]) =>
    constant(
      Float64Array.from({ length: to - from }, (_, i) => from + i),
      shape,
      lower.dtype as FloatType,
    );
  const nothing = reshape(mul(slice(lower, 0, 0, 1), 0), [1, 1, batch]);
  const distance = sub(
    numbers(0, features, [features, 1, 1]),
    add(numbers(start, end, [1, end - start, 1]), nothing),
  );
  const unit = relu(sub(1, abs(distance)));
  return sign > 0 ? unit : neg(unit);
}
