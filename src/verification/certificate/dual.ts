/**
 * The bound that the checker computes, as a function of its hints, with its derivative: α-CROWN and β-CROWN
 * (Xu et al. 2021, Wang et al. 2021) in plain float64 over the checker's own network. What comes out are
 * hints, so rounding needs no care here.
 *
 * Back-substitution gives the linear bound and where it is least; going forward from there through the lines
 * gives z of each ReLU, and ∂bound/∂α = a⁺ z, ∂bound/∂β = −s z.
 */
import { adjoint, type Bounds, forward } from '../../../checker/bounds.js';
import type { Node } from '../../../checker/onnx.js';
import type { Row } from '../../../checker/vnnlib.js';

/** By ReLU node: 1 where z ≥ 0 is decided, −1 where z ≤ 0. */
export type Signs = ReadonlyMap<number, Int8Array>;

export interface Multipliers {
  /** α ∈ [0, 1] of all unstable ReLUs, by the checker's numbers. */
  readonly alpha: Float64Array;
  /** β ≥ 0 by ReLU node. */
  readonly beta: ReadonlyMap<number, Float64Array>;
}

export interface Dual {
  readonly value: number;
  /** Of the linear bound, [inputs]. */
  readonly coefficients: Float64Array;
  /** Coefficients at the outputs of nodes, as they arrived. */
  readonly arrived: readonly (Float64Array | undefined)[];
  /** Values of nodes at the least point of the linear bound, activations on their lines. */
  readonly values: readonly Float64Array[];
}

/** Where α starts: CROWN's own. */
export function crownAlpha(nodes: readonly Node[], { lower, upper, unstable }: Bounds): Float64Array {
  const alpha: number[] = [];
  nodes.forEach(({ op, inputs }, k) => {
    if (op !== 'relu') return;
    const [p = 0] = inputs;
    unstable[k]?.forEach((index, i) => {
      if (index >= 0) alpha[index] = (upper[p]?.[i] as number) > -(lower[p]?.[i] as number) ? 1 : 0;
    });
  });
  return Float64Array.from(alpha);
}

/** The bound at given multipliers. */
export function dualAt(
  nodes: readonly Node[],
  bounds: Bounds,
  row: Row,
  signs: Signs,
  multipliers: Multipliers,
): Dual {
  const back = backward(nodes, bounds, row, signs, multipliers);
  const values: Float64Array[] = [];
  nodes.forEach((node, k) => {
    if (node.op === 'input') values.push(leastPoint(back.coefficients, bounds));
    else values.push(forwardNode(node, k, values, bounds, signs, multipliers, back.arrived[k]));
  });
  return { ...back, values };
}

function leastPoint(coefficients: Float64Array, { lower, upper }: Bounds): Float64Array {
  const [low, high] = [lower[0] as Float64Array, upper[0] as Float64Array];
  return coefficients.map((a, i) => (a > 0 ? (low[i] as number) : (high[i] as number)));
}

function start(nodes: readonly Node[], row: Row): (Float64Array | undefined)[] {
  const arrived: (Float64Array | undefined)[] = [];
  const last = nodes.length - 1;
  for (const [k, factors] of [[last, row.outputs] as const, [0, row.inputs] as const])
    for (const [i, factor] of factors) {
      const a = arrived[k] ?? new Float64Array((nodes[k] as Node).size);
      a[i] = (a[i] as number) + factor;
      arrived[k] = a;
    }
  return arrived;
}

function backward(
  nodes: readonly Node[],
  bounds: Bounds,
  row: Row,
  signs: Signs,
  multipliers: Multipliers,
): Omit<Dual, 'values'> {
  const arrived = start(nodes, row);
  let value = -row.bound;
  const hand = (p: number, a: Float64Array) => {
    const known = arrived[p];
    arrived[p] = known === undefined ? a : known.map((v, i) => v + (a[i] as number));
  };
  for (let k = nodes.length - 1; k > 0; k--) {
    const [node, a] = [nodes[k] as Node, arrived[k]];
    if (a === undefined) continue;
    const [p = 0, q = 0] = node.inputs;
    if (node.op === 'affine') {
      value += a.reduce((sum, v, j) => sum + v * (node.bias[j] as number), 0);
      hand(p, adjoint(node, a, (nodes[p] as Node).size));
    } else if (node.op === 'relu') {
      const through = new Float64Array(a.length);
      for (let i = 0; i < a.length; i++) {
        const { slope, intercept, beta } = lineOf(node, k, i, a[i] as number, bounds, signs, multipliers);
        through[i] = (a[i] as number) * slope - beta;
        value += (a[i] as number) * intercept;
      }
      hand(p, through);
    } else if (node.op === 'add') {
      hand(p, a.slice());
      hand(q, a.slice());
    }
  }
  const coefficients = arrived[0] ?? new Float64Array((nodes[0] as Node).size);
  const point = leastPoint(coefficients, bounds);
  value += coefficients.reduce((sum, a, i) => sum + a * (point[i] as number), 0);
  return { value, coefficients, arrived };
}

/** The line of a ReLU: slope·z + intercept, and s·β of a decided one. */
function lineOf(
  node: Node,
  k: number,
  i: number,
  a: number,
  { lower, upper, unstable }: Bounds,
  signs: Signs,
  { alpha, beta }: Multipliers,
): { slope: number; intercept: number; beta: number } {
  const p = node.inputs[0] as number;
  const [low, high] = [lower[p]?.[i] as number, upper[p]?.[i] as number];
  const sign = signs.get(k)?.[i] ?? 0;
  if (sign !== 0) return { slope: sign > 0 ? 1 : 0, intercept: 0, beta: sign * (beta.get(k)?.[i] ?? 0) };
  if (high <= 0) return { slope: 0, intercept: 0, beta: 0 };
  if (low >= 0) return { slope: 1, intercept: 0, beta: 0 };
  if (a >= 0) return { slope: alpha[unstable[k]?.[i] as number] as number, intercept: 0, beta: 0 };
  const slope = high / (high - low);
  return { slope, intercept: -slope * low, beta: 0 };
}

function forwardNode(
  node: Node,
  k: number,
  values: readonly Float64Array[],
  bounds: Bounds,
  signs: Signs,
  multipliers: Multipliers,
  arrived: Float64Array | undefined,
): Float64Array {
  const [x, y] = node.inputs.map((p) => values[p] as Float64Array) as [Float64Array, Float64Array];
  if (node.op === 'affine') return forward(node, x, x).middle;
  if (node.op === 'add') return x.map((v, i) => v + (y[i] as number));
  if (node.op === 'relu')
    return x.map((z, i) => {
      const { slope, intercept } = lineOf(node, k, i, arrived?.[i] ?? 0, bounds, signs, multipliers);
      return slope * z + intercept;
    });
  return x;
}
