/**
 * Bounds of a network over a box in float64, rounding taken off. Let u = 2⁻⁵³. An IEEE sum or product is the
 * exact one times 1 + δ, |δ| ≤ u, up to 2⁻¹⁰⁷⁵ where a product underflows. So a computed sum of n terms, each
 * of at most three such operations, is off by at most γ Σ|terms|, γ = (n + 3)u / (1 − (n + 3)u) (Higham 2002,
 * 3.1), in any order of summation. No sum here has more than 2N + 8 terms, N the values of all nodes, N <
 * 2²⁸, so ERROR = 8(N + 8)u > γ with room for the rounding of Σ|terms| itself; what underflows in fewer than
 * 2⁶⁰ products adds less than TINY(1 + max|x|). Where something overflows, sizes become infinite or NaN, and
 * no comparison with them holds: nothing is proved then.
 *
 * @typedef {import('./onnx.js').Node} Node
 * @typedef {{ lower: Float64Array[], upper: Float64Array[], size: Float64Array[], reach: Float64Array[],
 *   unstable: Int32Array[], error: number, tiny: number }} Bounds
 *   Of each node: ends of its values, size ≥ |value|; of affine ones reach_j ≥ Σ|w_ji| size_i + |b_j|; of
 *   ReLUs the number of each value among all unstable ReLUs.
 * @typedef {{ alpha?: Uint8Array, signs?: Map<number, Int8Array>, beta?: Map<number, Float64Array> }} Hints
 *   α in 255ths of the unstable ReLUs, in their order; by ReLU node: decided signs and their β.
 */

const TINY = 2 ** -1000;
/** A number below x, by more than two operations that led to x can have rounded. */
export const down = (x) => x - Math.abs(x) * 2 ** -50 - TINY;
export const up = (x) => -down(-x);

/** W c + b and Σ|w| r for each output, four channels at once, of inputs that are not zero. */
export function forward({ size, weight, bias, positions, taps, first, runs }, centre, radius) {
  const [middle, spread] = [bias.slice(), new Float64Array(size)];
  const [inputs, at] = [new Int32Array(taps), new Int32Array(taps)];
  for (let p = 0; p < positions; p++) {
    let count = 0;
    for (let run = 3 * first[p]; run < 3 * first[p + 1]; run += 3)
      for (let i = runs[run], k = runs[run + 1]; i < runs[run] + runs[run + 2]; i++, k++) {
        if (centre[i] === 0 && radius[i] === 0) continue;
        inputs[count] = i;
        at[count++] = k;
      }
    for (let j = p, k = 0; j < size; j += 4 * positions, k += 4 * taps) {
      let [m0, m1, m2, m3] = [0, 0, 0, 0];
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let t = 0; t < count; t++) {
        const x = centre[inputs[t]];
        const r = radius[inputs[t]];
        const w = k + at[t];
        // biome-ignore-start format: a line for each channel
        m0 += weight[w] * x;
        s0 += Math.abs(weight[w]) * r;
        m1 += weight[w + taps] * x;
        s1 += Math.abs(weight[w + taps]) * r;
        m2 += weight[w + 2 * taps] * x;
        s2 += Math.abs(weight[w + 2 * taps]) * r;
        m3 += weight[w + 3 * taps] * x;
        s3 += Math.abs(weight[w + 3 * taps]) * r;
      }
      // Of channels behind the last one nothing is kept: typed arrays have no such places.
      middle[j] += m0;
      spread[j] = s0;
      middle[j + positions] += m1;
      spread[j + positions] = s1;
      middle[j + 2 * positions] += m2;
      spread[j + 2 * positions] = s2;
      middle[j + 3 * positions] += m3;
      spread[j + 3 * positions] = s3;
      // biome-ignore-end format: a line for each channel
    }
  }
  return { middle, spread };
}

/** Wᵀ a for so many inputs, four channels at once. */
export function adjoint({ size, weight, positions, taps, first, runs }, a, inputs) {
  const out = new Float64Array(inputs);
  for (let p = 0; p < positions; p++)
    for (let j = p, from = 0; j < size; j += 4 * positions, from += 4 * taps) {
      const a0 = a[j];
      const a1 = a[j + positions] ?? 0;
      const a2 = a[j + 2 * positions] ?? 0;
      const a3 = a[j + 3 * positions] ?? 0;
      if (a0 === 0 && a1 === 0 && a2 === 0 && a3 === 0) continue;
      for (let run = 3 * first[p]; run < 3 * first[p + 1]; run += 3)
        for (let i = runs[run], k = from + runs[run + 1], end = i + runs[run + 2]; i < end; i++, k++) {
          const both = a0 * weight[k] + a1 * weight[k + taps];
          out[i] += both + a2 * weight[k + 2 * taps] + a3 * weight[k + 3 * taps];
        }
    }
  return out;
}

/** Σ|w_ji| size_i + |b_j| for each output j, or more. */
const reachOf = (node, size) =>
  forward(node, size, size).spread.map((sum, j) => (sum + Math.abs(node.bias[j])) * (1 + 2 ** -20) + TINY);

/** Ends of an affine node's values from those of what it reads. */
function affineEnds(node, low, high, size, error) {
  const [centre, radius] = [new Float64Array(low.length), new Float64Array(low.length)];
  // Rounding moves the middle by at most γ (Σ|w| |c| + |b|), and takes the share γ of the spread.
  for (let i = 0; i < low.length; i++) {
    centre[i] = low[i] / 2 + high[i] / 2;
    radius[i] = size[i] && up(Math.max(high[i] - centre[i], centre[i] - low[i]) + error * size[i]);
  }
  const { middle, spread } = forward(node, centre, radius);
  for (let j = 0; j < node.size; j++) {
    const r = up(spread[j] * (1 + 2 * error) + error * Math.abs(node.bias[j]) + TINY);
    [spread[j], middle[j]] = [up(middle[j] + r), down(middle[j] - r)];
  }
  return [middle, spread];
}

/** Ends of a node's values from those of what it reads. */
function step(/** @type {any} */ node, { lower, upper, size, error }) {
  const [op, by, [p, q]] = [node.op, node.by, node.inputs];
  if (op === 'affine') return affineEnds(node, lower[p], upper[p], size[p], error);
  const [l, h] = [new Float64Array(node.size), new Float64Array(node.size)];
  const of = (x, i) => (op === 'shift' ? x + by[i] : op === 'scale' ? x * by[i] : x / by[i]);
  for (let i = 0; i < node.size; i++) {
    let [low, high] = [lower[p][i], upper[p][i]];
    if (op === 'add') [low, high] = [low + lower[q][i], high + upper[q][i]];
    else if (op !== 'relu') [low, high] = [of(low, i), of(high, i)];
    l[i] = op === 'relu' ? Math.max(low, 0) : down(Math.min(low, high));
    h[i] = op === 'relu' ? Math.max(high, 0) : up(Math.max(low, high));
  }
  return [l, h];
}

/**
 * Bounds of all nodes over a box: intervals and, unless `slopes` is undefined, back-substitution of the ReLU
 * inputs that these leave unstable.
 * @param {Node[]} nodes @param {{ lower: Float64Array, upper: Float64Array }} box
 * @param {(Uint8Array | undefined)[] | undefined} slopes of each ReLU node: α of the ReLUs before it
 * @returns {Bounds}
 */
export function boundNodes(nodes, box, slopes) {
  const values = nodes.reduce((sum, { size }) => sum + size, 0);
  if (!(values < 2 ** 28)) throw new Error('model: too large to be checked');
  const lists = { lower: [], upper: [], size: [], reach: [], unstable: [] };
  /** @type {Bounds} */
  const bounds = { ...lists, error: (values + 8) * 2 ** -50, tiny: TINY };
  const { lower, upper, size, unstable } = bounds;
  const measure = (k) => {
    const [low, high, own] = [lower[k], upper[k], new Float64Array(nodes[k].size)];
    let most = 1;
    for (let i = 0; i < own.length; i++) {
      own[i] = Math.max(Math.abs(low[i]), Math.abs(high[i]));
      most = Math.max(most, own[i]);
    }
    size[k] = own;
    bounds.tiny = Math.max(bounds.tiny, TINY * (1 + most));
  };
  let [relus, count] = [0, 0];
  nodes.forEach((node, k) => {
    const [p] = node.inputs;
    if (node.op === 'relu') {
      if (slopes !== undefined && relus > 0) refine(nodes, bounds, p, slopes[relus]);
      relus++;
      measure(p);
      unstable[k] = new Int32Array(node.size).fill(-1);
      for (let i = 0; i < node.size; i++) if (lower[p][i] < 0 && upper[p][i] > 0) unstable[k][i] = count++;
    }
    if (node.op === 'input') [lower[k], upper[k]] = [box.lower.slice(), box.upper.slice()];
    else [lower[k], upper[k]] = step(node, bounds);
    measure(k);
  });
  return bounds;
}

/** Back-substitution of the unstable values of node p, both ends. */
function refine(nodes, bounds, p, alpha) {
  const [lower, upper] = [bounds.lower[p], bounds.upper[p]];
  for (let i = 0; i < lower.length; i++)
    if (lower[i] < 0 && upper[i] > 0)
      for (const [sign, end] of [
        [1, lower],
        [-1, upper],
      ]) {
        const row = /** @type {any} */ ({ outputs: [[i, sign]], inputs: [], bound: 0 });
        const found = lowerBound(nodes, bounds, p, row, { alpha }, false);
        if (found > sign * end[i]) end[i] = sign * found;
      }
}

/**
 * Lower bound of c·y + d·x − b, y the values of node `start`, over the inputs of the box whose ReLUs have the
 * decided signs; NaN or −∞ where there is none.
 *
 * Invariant: c·y + d·x − b ≥ sum + Σ a·v over the values v of the nodes that are open, but for rounding. An
 * affine node hands Wᵀa on; computed and exact Wᵀa, times v, differ by at most γ Σ|a_j| reach_j. A ReLU of
 * input z ∈ [l, h] hands on any number t with the least of a·relu(z) − t·z, which is piecewise linear in z:
 * it is at l, at h or at 0. So no hint can make a bound wrong: α and β only choose t. `total` adds up the
 * sizes of all terms, of which rounding takes at most the share `error`.
 *
 * @param {any[]} nodes @param {Bounds} bounds @param {number} start
 * @param {import('./vnnlib.js').Row} row @param {Hints} hints
 * @param {boolean} early whether the bound may be taken at any node that all depends on, if positive
 */
export function lowerBound(nodes, bounds, start, row, hints, early) {
  const { lower, upper, size, reach, error, tiny } = bounds;
  /** @type {(Float64Array | undefined)[]} */
  const open = [];
  let [waiting, best, sum, total] = [0, Number.NEGATIVE_INFINITY, -row.bound, Math.abs(row.bound)];
  /** Hands coefficients on to node p, added to what it has. */
  const hand = (p, a) => {
    const known = open[p];
    if (known === undefined) [open[p], waiting] = [a, waiting + 1];
    else
      for (let i = 0; i < a.length; i++) {
        total += (Math.abs(known[i]) + Math.abs(a[i])) * size[p][i];
        known[i] += a[i];
      }
  };
  const begin = (k, factors) => {
    const a = new Float64Array(nodes[k].size);
    for (const [i, factor] of factors) {
      a[i] += factor;
      total += 2 * Math.abs(factor) * size[k][i];
    }
    hand(k, a);
  };
  begin(start, row.outputs);
  if (row.inputs.length > 0) begin(0, row.inputs);
  for (let k = start; k >= 0; k--) {
    const [node, a] = [nodes[k], open[k]];
    if (a === undefined) continue;
    [open[k], waiting] = [undefined, waiting - 1];
    const [p, q] = node.inputs;
    if (waiting === 0 && (early || k === 0)) {
      let [value, terms] = [sum, total];
      for (let i = 0; i < a.length; i++) {
        if (a[i] === 0) continue;
        value += a[i] * (a[i] > 0 ? lower[k][i] : upper[k][i]);
        terms += Math.abs(a[i]) * size[k][i];
      }
      best = Math.max(best, down(value - (error * terms * (1 + 2 ** -20) + tiny)));
      if (best > 0 && early) return best;
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
      for (let i = 0; i < a.length; i++) {
        const [t, least] = line(a[i], k, i, lower[p][i], upper[p][i], bounds, hints);
        a[i] = t;
        sum += least;
        total += Math.abs(least);
      }
      hand(p, a);
    } else if (node.op === 'add') {
      hand(p, a);
      hand(q, a.slice());
    } else if (node.op !== 'input') {
      for (let i = 0; i < a.length; i++) {
        if (node.op === 'shift') sum += a[i] * node.by[i];
        else a[i] = node.op === 'scale' ? a[i] * node.by[i] : a[i] / node.by[i];
        total += Math.abs(a[i]) * (size[p][i] + Math.abs(node.by[i]));
      }
      hand(p, a);
    }
  }
  return best;
}

/**
 * What a ReLU hands on of a·relu(z): a factor t of z, and the least of a·relu(z) − t·z over [low, high].
 * @returns {[number, number]}
 */
function line(a, k, i, low, high, bounds, hints) {
  const sign = hints.signs?.get(k)?.[i] ?? 0;
  let [l, h, t] = [low, high, 0];
  if (sign > 0) [l, t] = [Math.max(low, 0), a - (hints.beta?.get(k)?.[i] ?? 0)];
  else if (sign < 0) [h, t] = [Math.min(high, 0), hints.beta?.get(k)?.[i] ?? 0];
  else if (a === 0 || high <= 0) t = 0;
  else if (low >= 0) t = a;
  else if (a < 0) t = a * (high / (high - low));
  else {
    const hint = hints.alpha?.[bounds.unstable[k][i]];
    t = hint === undefined ? (high > -low ? a : 0) : a * (hint / 255);
  }
  const [atLow, atHigh] = [l < 0 ? -t * l : (a - t) * l, h > 0 ? (a - t) * h : -t * h];
  return [t, Math.min(atLow, atHigh, l < 0 && h > 0 ? 0 : Number.POSITIVE_INFINITY)];
}
