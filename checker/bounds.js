/**
 * Bounds of a network over a box in float64, rounding taken off: u = 2⁻⁵³. A computed sum of n terms, each of
 * at most 20 roundings, is off by at most γ Σ|terms|, γ = (n + 20)u / (1 − (n + 20)u), in any order (Higham
 * 2002, 3.1). No sum has more than 2N + 8 terms, N < 2²⁸ the values of all nodes: error = 8(N + 8)u > γ, with
 * room for the rounding of Σ|terms|. An underflow loses 2⁻¹⁰⁷⁵, and TINY covers 2⁷⁵ of them. What overflows
 * makes sizes infinite or NaN, and no comparison with them holds: nothing is proved.
 * Of each node: ends of its values, size ≥ |value|, of affine ones reach_j ≥ Σ|w_ji| size_i + |b_j|, of ReLUs
 * the number among all unstable ones, or −1. Hints: α in 255ths in that order; a path of decided signs [ReLU
 * node, neuron, sign, β].
 */
import { demand } from './onnx.js';

const TINY = 2 ** -1000;
/** A number below x, by more than two roundings. */
export const down = (x) => x - Math.abs(x) * 2 ** -50 - TINY;
export const up = (x) => -down(-x);
/** W c + b and Σ|w| r for each output. */
export function forward({ size, weight, bias, positions, taps, first, runs }, centre, radius) {
  const [middle, spread] = [bias.slice(), new Float64Array(size)];
  for (let p = 0; p < positions; p++)
    for (let run = 3 * first[p]; run < 3 * first[p + 1]; run += 3)
      for (let i = runs[run], k = runs[run + 1], end = i + runs[run + 2]; i < end; i++, k++) {
        const [c, r] = [centre[i], radius[i]];
        if (c === 0 && r === 0) continue;
        for (let j = p, w = k; j < size; j += positions, w += taps) {
          middle[j] += weight[w] * c;
          spread[j] += Math.abs(weight[w]) * r;
        }
      }
  return { middle, spread };
}
/** Wᵀ a for so many inputs, four channels at once: beyond the last, a is 0 and weights are the last's. */
export function adjoint({ size, weight: w, positions: n, taps, first, runs }, a, inputs) {
  const [out, at] = [new Float64Array(inputs), (k) => Math.min(k, w.length - taps)];
  for (let p = 0; p < n; p++)
    for (let j = p, k0 = 0; j < size; j += 4 * n, k0 += 4 * taps) {
      const [a0, a1, a2, a3] = [a[j], a[j + n] ?? 0, a[j + 2 * n] ?? 0, a[j + 3 * n] ?? 0];
      const [k1, k2, k3] = [at(k0 + taps), at(k0 + 2 * taps), at(k0 + 3 * taps)];
      if (a0 === 0 && a1 === 0 && a2 === 0 && a3 === 0) continue;
      for (let run = 3 * first[p]; run < 3 * first[p + 1]; run += 3)
        for (let i = runs[run], k = runs[run + 1], end = i + runs[run + 2]; i < end; i++, k++)
          out[i] += a0 * w[k0 + k] + a1 * w[k1 + k] + (a2 * w[k2 + k] + a3 * w[k3 + k]);
    }
  return out;
}

/** Ends of a node's values from those of what it reads. */
function ends(node, { lower, upper, size, error }, box) {
  const { op, inputs } = node;
  if (op === 'input') return [box.lower.slice(), box.upper.slice()];
  const [[low, high, most], [, q]] = [[lower, upper, size].map((of) => of[inputs[0]]), inputs];
  if (op === 'relu') return [low, high].map((end) => end.map((v) => Math.max(v, 0)));
  if (op === 'add')
    return [low.map((v, i) => down(v + lower[q][i])), high.map((v, i) => up(v + upper[q][i]))];
  const centre = low.map((v, i) => v / 2 + high[i] / 2);
  // Rounding moves the middle by at most γ (Σ|w| |c| + |b|), and takes the share γ of the spread.
  const around = centre.map((c, i) => most[i] && up(Math.max(high[i] - c, c - low[i]) + error * most[i]));
  const { middle, spread } = forward(node, centre, around);
  const radius = spread.map((s, j) => up(s * (1 + 2 * error) + error * Math.abs(node.bias[j]) + TINY));
  return [middle.map((m, j) => down(m - radius[j])), middle.map((m, j) => up(m + radius[j]))];
}

/** Bounds of all nodes, by intervals or, with `slopes`, the α of rows, also by back-substitution. */
export function boundNodes(nodes, box, slopes) {
  const [lower, upper, size, unstable, reach] = [[], [], [], [], []];
  const values = nodes.reduce((sum, node) => sum + node.size, 0);
  demand(values < 2 ** 28, 'model: too large to be checked');
  const bounds = { lower, upper, size, unstable, reach, error: (values + 8) * 2 ** -50 };
  let count = 0;
  for (const [k, node] of nodes.entries()) {
    const [p] = node.inputs;
    if (node.op === 'relu') {
      if (slopes) refine(nodes, bounds, p, slopes);
      unstable[k] = Int32Array.from(lower[p], (low, i) => (low < 0 && upper[p][i] > 0 ? count++ : -1));
    }
    [lower[k], upper[k]] = ends(node, bounds, box);
    size[k] = lower[k].map((low, i) => Math.max(Math.abs(low), Math.abs(upper[k][i])));
  }
  return bounds;
}
/** Back-substitution of the unstable values of node p: first the end that is nearer to 0, then the other. */
function refine(nodes, bounds, p, slopes) {
  const [lower, upper] = [bounds.lower[p], bounds.upper[p]];
  for (let i = 0; i < lower.length; i++)
    for (const sign of -lower[i] < upper[i] ? [1, -1] : [-1, 1]) {
      if (!(lower[i] < 0 && upper[i] > 0)) break;
      const row = { outputs: [[i, sign]], inputs: [], bound: 0 };
      const found = lowerBound(nodes, bounds, p, row, { alpha: slopes(p, row, bounds) });
      const end = sign > 0 ? lower : upper;
      if (found > sign * end[i]) end[i] = sign * found;
    }
}

/**
 * Lower bound of c·y + d·x − b, y the values of node `start`, over the inputs of the box whose ReLUs have
 * the decided signs; NaN or −∞ where there is none. Invariant: c·y + d·x − b ≥ sum + Σ a·v over the values v
 * of the nodes that are open, less the share `error` of `total`, the sizes of all terms: computed and exact
 * Wᵀa, times v, differ by at most γ Σ|a_j| reach_j. It may be taken at any node that all depends on.
 */
export function lowerBound(nodes, { lower, upper, size, unstable, reach, error }, start, row, hints) {
  const open = [];
  let [best, sum, total] = [Number.NEGATIVE_INFINITY, -row.bound, Math.abs(row.bound)];
  const hand = (p, a, most = size[p], more = open[p], sizes = 0) => {
    for (let i = 0; i < a.length; i++) {
      if (more) a[i] += more[i];
      sizes += (Math.abs(a[i]) + TINY) * most[i];
    }
    open[p] = a;
    total += sizes;
  };
  for (const [i, c] of row.outputs) hand(start, new Float64Array(nodes[start].size).fill(c, i, i + 1));
  for (const [i, d] of row.inputs) hand(0, new Float64Array(nodes[0].size).fill(d, i, i + 1));
  for (let k = start; k >= 0; k--) {
    const [node, a, [p, q]] = [nodes[k], open[k], nodes[k].inputs];
    if (a === undefined) continue;
    if (open.findIndex((one) => one) === k) {
      let [value, low, high] = [sum, lower[k], upper[k]];
      for (let i = 0; i < a.length; i++) value += a[i] * (a[i] > 0 ? low[i] : high[i]);
      best = Math.max(best, down(value - error * total * (1 + 2 ** -20)));
      if (best > 0) return best;
    }
    if (node.op === 'affine') {
      reach[k] ??= forward(node, size[p], size[p]).spread.map((s, j) => s + Math.abs(node.bias[j]) + TINY);
      for (let j = 0; j < a.length; j++) {
        sum += a[j] * node.bias[j];
        total += Math.abs(a[j]) * reach[k][j] * (1 + 2 ** -20);
      }
      hand(p, adjoint(node, a, nodes[p].size));
    } else if (node.op === 'relu') {
      const decided = hints.path && new Map(hints.path.map(([at, i, ...of]) => [at === k ? i : -1, of]));
      for (let i = 0; i < a.length; i++) {
        const [low, high] = [lower[p][i], upper[p][i]];
        if (!(low < 0 && high > 0) && !decided?.has(i)) a[i] = low < 0 ? 0 : a[i];
        else {
          const [t, least] = line(a[i], low, high, hints.alpha?.[unstable[k][i]], decided?.get(i));
          [a[i], sum, total] = [t, sum + least, total + Math.abs(least)];
        }
      }
      hand(p, a);
    } else if (node.op === 'add') {
      hand(q, a.slice());
      hand(p, a);
    }
  }
  return best;
}
/**
 * What a ReLU of input z ∈ [l, h] hands on of a·relu(z): any t, with the least of a·relu(z) − t·z, which is
 * piecewise linear in z: it is at l, at h or at 0. So no hint can make a bound wrong: α and β only choose t.
 */
function line(a, low, high, alpha, [sign, beta] = [0, 0]) {
  const [l, h] = [sign > 0 ? Math.max(low, 0) : low, sign < 0 ? Math.min(high, 0) : high];
  let t = alpha === undefined ? (high > -low ? a : 0) : a * (alpha / 255);
  if (sign !== 0) t = sign > 0 ? a - beta : beta;
  else if (a < 0) t = a * (high / (high - low));
  const [atLow, atHigh] = [l < 0 ? -t * l : (a - t) * l, h > 0 ? (a - t) * h : -t * h];
  return [t, Math.min(atLow, atHigh, l < 0 && h > 0 ? 0 : Number.POSITIVE_INFINITY)];
}
