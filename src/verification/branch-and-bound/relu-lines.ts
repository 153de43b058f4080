/**
 * ReLUs of the dual program: the arrays that belong to a node, the rows of its unstable neurons, and the
 * lines that bound each of them.
 */
import {
  abs,
  add,
  input,
  mul,
  neg,
  pad,
  relu,
  step,
  sub,
  type Tensor,
  takeRows,
  withGradient,
} from '../../graph/index.js';
import { reluSlopes } from '../../relaxation/slopes.js';

/** Names of the arrays that belong to node k, a ReLU or a smooth activation. */
export const nodeArray = (
  what: 'lower' | 'upper' | 'sign' | 'p' | 'score' | 'gap' | 'index' | 'map' | 'live',
  node: number,
): string => `${what}:${node}`;

/**
 * Lines of ReLU k, as p moves them, on the rows of its unstable neurons: a leaves it as a·λ + move, where
 * move = a⁺∘(keep∘p + above) + a⁻∘below − p∘sign is zero for stable neurons. [rows, n], or [rows, 1] without
 * decisions.
 */
export interface Lines {
  readonly keep: Tensor;
  readonly above: Tensor;
  /** Undefined where it is zero: without decisions. */
  readonly below: Tensor | undefined;
  readonly intercept: Tensor;
  /** 1 where p is β. */
  readonly decided: Tensor | undefined;
}

export function linesOf(
  lower: Tensor,
  upper: Tensor,
  live: Tensor | undefined,
  sign: Tensor | undefined,
): Lines {
  const slopes = reluSlopes({ lower, upper });
  const crossing = step(neg(mul(lower, upper)));
  const unstable = live === undefined ? crossing : mul(crossing, live);
  const intercept = mul(slopes.intercept, unstable);
  const removed = neg(mul(slopes.upper, unstable));
  if (sign === undefined)
    return { keep: unstable, above: removed, below: undefined, intercept, decided: undefined };
  const decided = abs(sign);
  const open = sub(1, decided);
  const active = relu(sign);
  return {
    keep: mul(unstable, open),
    above: add(removed, active),
    below: add(mul(neg(slopes.upper), decided), active),
    intercept: mul(intercept, open),
    decided,
  };
}

/**
 * The rows of a node's unstable neurons, and back: neurons without a row get zeros. Each is the other's
 * adjoint.
 */
export interface Rows {
  readonly count: number;
  pick(x: Tensor): Tensor;
  place(rows: Tensor): Tensor;
}

export function rowsOf(node: number, features: number, count: number | undefined): Rows {
  if (count === undefined) return { count: features, pick: (x) => x, place: (x) => x };
  const [index, map] = [
    input(nodeArray('index', node), [count], 'int32'),
    input(nodeArray('map', node), [features], 'int32'),
  ];
  const placed = (rows: Tensor) => takeRows(pad(rows, 0, 0, 1), map);
  return {
    count,
    pick: (x) => withGradient(takeRows(x, index), [x], (g) => [placed(g)]),
    place: (rows) => withGradient(placed(rows), [rows], (g) => [takeRows(g, index)]),
  };
}
