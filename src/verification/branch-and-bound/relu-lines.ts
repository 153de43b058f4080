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
  reshape,
  step,
  sub,
  sum,
  type Tensor,
  takeRows,
  withGradient,
} from '../../graph/index.js';
import type { Network, NetworkNode } from '../../network/network.js';
import { isNonlinear } from '../../relaxation/linear/nonlinear.js';
import { reluSlopes } from '../../relaxation/slopes.js';
import { belowHull, type Hull } from './hull.js';

/** Names of the arrays that belong to node k, a ReLU or a smooth activation. */
export const nodeArray = (
  what: 'lower' | 'upper' | 'sign' | 'trial' | 'p' | 'score' | 'gap' | 'index' | 'map' | 'live' | 'hull',
  node: number,
): string => `${what}:${node}`;

/** ReLUs and smooth activations that a node depends on, in order. */
export function nonlinearBefore(net: Network, target: number): number[] {
  const needed = new Set([target]);
  for (let k = target; k >= 0; k--)
    if (needed.has(k)) for (const from of (net.nodes[k] as NetworkNode).inputs) needed.add(from);
  return net.nodes.flatMap(({ layer }, k) => (isNonlinear(layer) && needed.has(k) ? [k] : []));
}

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

/** One ReLU node: its lines, where its p starts, and the rows of its unstable neurons. */
export interface ReluState extends Rows {
  readonly node: number;
  readonly lines: Lines;
  readonly sign: Tensor | undefined;
  /** Slope of the upper line of all neurons, [features, 1]. */
  readonly slope: Tensor;
  /** p at the start, and the name of the array that holds it. */
  readonly begin: Tensor;
  readonly name: string;
  /** Zeros of p's shape. */
  readonly nothing: Tensor;
  /** Upper sides from the hull of the node's neurons and what they read, if any. */
  readonly hull?: Hull | undefined;
}

/** Rows a, [features, n], through a ReLU at p, and the coefficients on its unstable neurons. */
export function throughRelu({ lines, sign, slope, pick, place, hull }: ReluState, p: Tensor, a: Tensor) {
  const open = pick(a);
  const positive = relu(open);
  const negative = sub(open, positive);
  const raised = mul(positive, add(mul(p, lines.keep), lines.above));
  const turned = lines.below ? add(raised, mul(negative, lines.below)) : raised;
  const above = hull && belowHull(hull, mul(p, lines.keep));
  const bent = above ? add(turned, mul(negative, mul(lines.keep, above.moved))) : turned;
  const move = sign ? sub(bent, mul(p, sign)) : bent;
  const intercept = above ? mul(lines.keep, above.intercept) : lines.intercept;
  return {
    open,
    coefficients: add(mul(a, slope), place(move)),
    constant: reshape(sum(mul(negative, intercept), [0]), [1, a.shape[1] as number]),
    ...(above && { beyond: { node: (hull as Hull).from, coefficients: above.beyond(negative) } }),
  };
}
