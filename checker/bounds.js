/**
 * Bounds of a network over a box in float64, rounding taken off. Let u = 2⁻⁵³. An IEEE operation is exact
 * but for a factor 1 + δ, |δ| ≤ u, and 2⁻¹⁰⁷⁵ where a product underflows. A computed sum of n terms, each of
 * at most four operations, is off by at most γ Σ|terms|, γ = (n + 4)u / (1 − (n + 4)u), in any order (Higham
 * 2002, 3.1). No sum here has more than 2N + 8 terms, N < 2²⁸ the values of all nodes: ERROR = 8(N + 8)u > γ
 * has room for the rounding of Σ|terms|. Of fewer than 2⁶⁰ products, underflow takes less than TINY(1 +
 * max|x|). Where something overflows, sizes become infinite or NaN, and no comparison with them holds:
 * nothing is proved.
 *
 * Of each node: ends of its values, size ≥ |value|, of affine ones reach_j ≥ Σ|w_ji| size_i + |b_j|, of
 * ReLUs the number among all unstable ones, or −1. Hints: α in 255ths in that order; by ReLU node decided
 * signs and their β.
 */
import { demand } from './onnx.js';

const TINY = 2 ** -1000;
/** A number below x, by more than two operations that led to x can have rounded. */
export const down = (x) => x - Math.abs(x) * 2 ** -50 - TINY;
export const up = (x) => -down(-x);

/** W c + b and Σ|w| r for each output, two channels at once, of inputs that are not zero. */
export function forward({ size, weight, bias, positions, taps, first, runs }, centre, radius) {
  const [middle, spread, at] = [bias.slice(), new Float64Array(size), new Int32Array(taps)];
  const [c, r] = [new Float64Array(taps), new Float64Array(taps)];
  for (let p = 0; p < positions; p++) {
    let count = 0;
    for (let run = 3 * first[p]; run < 3 * first[p + 1]; run += 3)
      for (let i = runs[run], k = runs[run + 1]; i < runs[run] + runs[run + 2]; i++, k++)
        if (centre[i] !== 0 || radius[i] !== 0) [c[count], r[count], at[count++]] = [centre[i], radius[i], k];
    for (let j = p, k = 0; j < size; j += 2 * positions, k += 2 * taps) {
      let [m0, m1, s0, s1] = [0, 0, 0, 0];
      for (let t = 0; t < count; t++) {
        const [w0, w1] = [weight[k + at[t]], weight[k + taps + at[t]]];
        m0 += w0 * c[t];
        m1 += w1 * c[t];
        s0 += Math.abs(w0) * r[t];
        s1 += Math.abs(w1) * r[t];
      }
      // Behind the last channel nothing is kept: typed arrays have no such places.
      [middle[j], spread[j]] = [middle[j] + m0, s0];
      [middle[j + positions], spread[j + positions]] = [middle[j + positions] + m1, s1];
    }
  }
  return { middle, spread };
}

/** Wᵀ a for so many inputs, two channels at once. */
export function adjoint({ size, weight, positions, taps, first, runs }, a, inputs) {
  const out = new Float64Array(inputs);
  for (let p = 0; p < positions; p++)
    for (let j = p, from = 0; j < size; j += 2 * positions, from += 2 * taps) {
      const [a0, a1] = [a[j], a[j + positions] ?? 0];
      if (a0 === 0 && a1 === 0) continue;
      for (let run = 3 * first[p]; run < 3 * first[p + 1]; run += 3)
        for (let i = runs[run], k = from + runs[run + 1], end = i + runs[run + 2]; i < end; i++, k++)
          out[i] += a0 * weight[k] + a1 * weight[k + taps];
    }
  return out;
}

/** Σ|w_ji| size_i + |b_j| for each output j, or more. */
const reachOf = (node, size) =>
  forward(node, size, size).spread.map((sum, j) => (sum + Math.abs(node.bias[j])) * (1 + 2 ** -20) + TINY);

/** Ends of a node's values from those of what it reads. */
function ends(node, { lower, upper, size, error }) {
  const [p, q] = node.inputs;
  const [low, high] = [lower[p], upper[p]];
  if (node.op === 'relu') return [low, high].map((end) => end.map((v) => Math.max(v, 0)));
  if (node.op === 'add')
    return [low.map((v, i) => down(v + lower[q][i])), high.map((v, i) => up(v + upper[q][i]))];
  const [centre, radius] = [new Float64Array(low.length), new Float64Array(low.length)];
  // Rounding moves the middle by at most γ (Σ|w| |c| + |b|), and takes the share γ of the spread.
  for (let i = 0; i < low.length; i++) {
    centre[i] = low[i] / 2 + high[i] / 2;
    radius[i] = size[p][i] && up(Math.max(high[i] - centre[i], centre[i] - low[i]) + error * size[p][i]);
  }
  const { middle, spread } = forward(node, centre, radius);
  for (let j = 0; j < node.size; j++) {
    const r = up(spread[j] * (1 + 2 * error) + error * Math.abs(node.bias[j]) + TINY);
    [spread[j], middle[j]] = [up(middle[j] + r), down(middle[j] - r)];
  }
  return [middle, spread];
}

/** Bounds of all nodes over a box, by intervals and perhaps by back-substitution of unstable ReLU inputs. */
export function boundNodes(nodes, box, crown) {
  const values = nodes.reduce((sum, { size }) => sum + size, 0);
  demand(values < 2 ** 28, 'model: too large to be checked');
  const [lower, upper, size, unstable] = [[], [], [], []];
  const bounds = { lower, upper, size, unstable, reach: [], error: (values + 8) * 2 ** -50, tiny: TINY };
  const measure = (k) => {
    size[k] = lower[k].map((low, i) => Math.max(Math.abs(low), Math.abs(upper[k][i])));
    bounds.tiny = size[k].reduce((most, v) => Math.max(most, TINY * (1 + v)), bounds.tiny);
  };
  let count = 0;
  for (const [k, node] of nodes.entries()) {
    const [p] = node.inputs;
    if (node.op === 'relu') {
      if (crown) refine(nodes, bounds, p);
      measure(p);
      unstable[k] = Int32Array.from(lower[p], (low, i) => (low < 0 && upper[p][i] > 0 ? count++ : -1));
    }
    [lower[k], upper[k]] = node.op === 'input' ? [box.lower.slice(), box.upper.slice()] : ends(node, bounds);
    measure(k);
  }
  return bounds;
}

/** Back-substitution of the unstable values of node p: first the end that is nearer to 0, then the other. */
function refine(nodes, bounds, p) {
  const [lower, upper] = [bounds.lower[p], bounds.upper[p]];
  for (let i = 0; i < lower.length; i++)
    for (const sign of -lower[i] < upper[i] ? [1, -1] : [-1, 1]) {
      if (!(lower[i] < 0 && upper[i] > 0)) break;
      const found = lowerBound(nodes, bounds, p, { outputs: [[i, sign]], inputs: [], bound: 0 }, {});
      const end = sign > 0 ? lower : upper;
      if (found > sign * end[i]) end[i] = sign * found;
    }
}

/**
 * Lower bound of c·y + d·x − b, y the values of node `start`, over the inputs of the box whose ReLUs have
 * the decided signs; NaN or −∞ where there is none.
 *
 * Invariant: c·y + d·x − b ≥ sum + Σ a·v over the values v of the nodes that are open, but for rounding. An
 * affine node hands Wᵀa on; computed and exact Wᵀa, times v, differ by at most γ Σ|a_j| reach_j. A ReLU of
 * input z ∈ [l, h] hands on any number t with the least of a·relu(z) − t·z, which is piecewise linear in z:
 * it is at l, at h or at 0. So no hint can make a bound wrong: α and β only choose t. `total` adds up the
 * sizes of all terms, of which rounding takes at most the share `error`. The bound may be taken at any node
 * that all depends on: the best counts, and the first that is positive suffices.
 */
export function lowerBound(nodes, bounds, start, row, hints) {
  const { lower, upper, size, reach, error, tiny } = bounds;
  const open = [];
  let [waiting, best, sum, total] = [0, Number.NEGATIVE_INFINITY, -row.bound, Math.abs(row.bound)];
  /** Hands coefficients on to node p, added to what it has. */
  const hand = (p, a) => {
    const known = open[p];
    for (let i = 0; known && i < a.length; i++) {
      total += (Math.abs(known[i]) + Math.abs(a[i])) * size[p][i];
      a[i] += known[i];
    }
    if (!known) waiting++;
    open[p] = a;
  };
  for (const [k, factors] of [
    [start, row.outputs],
    [0, row.inputs],
  ]) {
    const a = new Float64Array(nodes[k].size);
    for (const [i, factor] of factors) {
      a[i] += factor;
      total += 2 * Math.abs(factor) * size[k][i];
    }
    if (factors.length > 0) hand(k, a);
  }
  for (let k = start; k >= 0; k--) {
    const [node, a] = [nodes[k], open[k]];
    if (a === undefined) continue;
    waiting--;
    const [p, q] = node.inputs;
    if (waiting === 0) {
      let [value, terms] = [sum, total];
      for (let i = 0; i < a.length; i++) {
        if (a[i] === 0) continue;
        value += a[i] * (a[i] > 0 ? lower[k][i] : upper[k][i]);
        terms += Math.abs(a[i]) * size[k][i];
      }
      best = Math.max(best, down(value - (error * terms * (1 + 2 ** -20) + tiny)));
      if (best > 0) return best;
    }
    if (node.op === 'affine') {
      reach[k] ??= reachOf(node, size[p]);
      for (let j = 0; j < a.length; j++) {
        if (a[j] === 0) continue;
        sum += a[j] * node.bias[j];
        total += Math.abs(a[j]) * reach[k][j];
      }
      hand(p, adjoint(node, a, nodes[p].size));
    } else if (node.op === 'relu') {
      const signs = hints.signs?.get(k);
      for (let i = 0; i < a.length; i++) {
        const [l, h] = [lower[p][i], upper[p][i]];
        const stable = !signs?.[i] && (l >= 0 || h <= 0) && Number.isFinite(h - l);
        const [t, least] = stable ? [l >= 0 ? a[i] : 0, 0] : line(a[i], k, i, l, h, bounds, hints);
        a[i] = t;
        sum += least;
        total += Math.abs(least);
      }
      hand(p, a);
    } else if (node.op === 'add') {
      hand(q, a.slice());
      hand(p, a);
    }
  }
  return best;
}

/** What a ReLU hands on of a·relu(z): a factor t of z, and the least of a·relu(z) − t·z over [low, high]. */
function line(a, k, i, low, high, bounds, hints) {
  const sign = hints.signs?.get(k)?.[i] ?? 0;
  let [l, h, t] = [low, high, 0];
  if (sign > 0) [l, t] = [Math.max(low, 0), a - (hints.beta?.get(k)?.[i] ?? 0)];
  else if (sign < 0) [h, t] = [Math.min(high, 0), hints.beta?.get(k)?.[i] ?? 0];
  else if (a < 0) t = a * (high / (high - low));
  else {
    const hint = hints.alpha?.[bounds.unstable[k][i]];
    t = hint === undefined ? (high > -low ? a : 0) : a * (hint / 255);
  }
  const [atLow, atHigh] = [l < 0 ? -t * l : (a - t) * l, h > 0 ? (a - t) * h : -t * h];
  return [t, Math.min(atLow, atHigh, l < 0 && h > 0 ? 0 : Number.POSITIVE_INFINITY)];
}
