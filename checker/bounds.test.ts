import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exactNetworks, exactValues } from '../src/testing/checker-networks.js';
import { atMost, type Dyadic, dyadic, plus, times } from '../src/testing/dyadic.js';
import { normalNumbers, uniformNumbers } from '../src/testing/numbers.js';
import { type Bounds, boundNodes, lowerBound, type Slopes } from './bounds.js';
import type { Node } from './onnx.js';
import type { Row } from './vnnlib.js';

/** A box around random pixels, and points of it: its corners, its middle, others. */
function boxAndPoints(features: number, seed: number, radius: number) {
  const centre = normalNumbers(`centre ${seed}`, features);
  const lower = centre.map((c) => c - radius);
  const upper = centre.map((c) => c + radius);
  const points = [0, 1, 2, 3, 4, 5].map((k) => {
    const u = uniformNumbers(`point ${k} of ${seed}`, features);
    return lower.map((low, i) => {
      const at = k < 2 ? k : k < 4 ? Math.round(u[i] as number) : (u[i] as number);
      const high = upper[i] as number;
      return at === 0 ? low : at === 1 ? high : Math.min(high, Math.max(low, low + at * (high - low)));
    });
  });
  return { box: { lower, upper }, points };
}

/** Σ c y + Σ d x − b, exactly. */
function exactly(row: Row, x: readonly Dyadic[], y: readonly Dyadic[]): Dyadic {
  let sum = dyadic(-row.bound);
  for (const [j, c] of row.outputs) sum = plus(sum, times(dyadic(c), y[j] as Dyadic));
  for (const [i, d] of row.inputs) sum = plus(sum, times(dyadic(d), x[i] as Dyadic));
  return sum;
}

function randomRow(inputs: number, outputs: number, seed: number): Row {
  const c = normalNumbers(`c ${seed}`, outputs);
  const d = normalNumbers(`d ${seed}`, inputs);
  const entries = (of: Float64Array) => Array.from(of, (v, i) => [i, v] as const);
  // Now and then a factor stands twice, as in a combination of rows.
  const twice = seed % 3 === 0 ? [[0, 1e9] as const, [0, -1e9] as const] : [];
  return { outputs: [...entries(c), ...twice], inputs: seed % 2 === 0 ? [] : entries(d), bound: 0.1 };
}

const cases = fc.record({
  nodes: exactNetworks,
  seed: fc.integer({ min: 0, max: 1e6 }),
  // Boxes without width show every rounding: bounds and values are the same numbers there.
  radius: fc.constantFrom(0, 0, 1e-9, 0.05, 0.5),
  // Slopes of rows: none, CROWN's, senseless ones.
  slopes: fc.constantFrom<Slopes | undefined>(
    undefined,
    () => undefined,
    (p, { outputs: [first] }, { unstable }) => {
      const count = unstable.reduce((sum, one) => sum + (one?.filter((v) => v >= 0).length ?? 0), 0);
      return Uint8Array.from(uniformNumbers(`${p} ${first}`, count), (v) => Math.floor(256 * v));
    },
  ),
});

test('intervals and back-substituted bounds contain the exact values of all nodes', () => {
  fc.assert(
    fc.property(cases, ({ nodes, seed, radius, slopes }) => {
      const { box, points } = boxAndPoints((nodes[0] as Node).size, seed, radius);
      const bounds = boundNodes(nodes, box, slopes);
      for (const point of points) {
        const values = exactValues(nodes, Array.from(point, dyadic));
        for (const [k, value] of values.entries())
          for (const [i, v] of value.entries()) {
            expect(atMost(dyadic(bounds.lower[k]?.[i] as number), v), `lower ${k} ${i}`).toBe(true);
            expect(atMost(v, dyadic(bounds.upper[k]?.[i] as number)), `upper ${k} ${i}`).toBe(true);
          }
      }
    }),
    { numRuns: 150 },
  );
});

/** Signs that hold at a point, of about a third of the ReLUs, and arbitrary multipliers, also senseless ones. */
function hintsAt(nodes: readonly Node[], bounds: Bounds, values: readonly Dyadic[][], seed: number) {
  const path = nodes.flatMap(({ op, size, inputs }, k) => {
    if (op !== 'relu') return [];
    const [u, beta] = [uniformNumbers(`signs ${k} ${seed}`, size), normalNumbers(`beta ${k} ${seed}`, size)];
    const z = values[inputs[0] as number] as Dyadic[];
    const sign = (i: number) => ((z[i] as Dyadic).m >= 0n ? 1 : -1);
    return Array.from(u, (v, i) => (v > 0.35 ? [] : [[k, i, sign(i), beta[i] as number]])).flat();
  });
  const count = bounds.unstable.reduce((sum, one) => sum + (one?.filter((v) => v >= 0).length ?? 0), 0);
  const alpha = Uint8Array.from(uniformNumbers(`alpha ${seed}`, count), (v) => Math.floor(256 * v));
  return { alpha, path };
}

test('lower bounds are below the exact value at every point that has the decided signs, whatever the hints', () => {
  fc.assert(
    fc.property(cases, ({ nodes, seed, radius, slopes }) => {
      const { box, points } = boxAndPoints((nodes[0] as Node).size, seed, radius);
      const last = nodes.length - 1;
      const row = randomRow((nodes[0] as Node).size, (nodes[last] as Node).size, seed);
      const bounds = boundNodes(nodes, box, slopes);
      for (const point of points) {
        const x = Array.from(point, dyadic);
        const values = exactValues(nodes, x);
        const value = exactly(row, x, values[last] as Dyadic[]);
        for (const hints of [{}, hintsAt(nodes, bounds, values, seed)]) {
          const bound = lowerBound(nodes, bounds, last, row, hints);
          expect(bound === Number.NEGATIVE_INFINITY || atMost(dyadic(bound), value)).toBe(true);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('bounds are close to the exact value where the box has no width, so that they are of use', () => {
  fc.assert(
    fc.property(exactNetworks, fc.integer({ min: 0, max: 1e6 }), (nodes, seed) => {
      const { box, points } = boxAndPoints((nodes[0] as Node).size, seed, 0);
      const last = nodes.length - 1;
      const row = { outputs: [[0, 1] as const], inputs: [], bound: 0 };
      const bounds = boundNodes(nodes, box);
      const [y] = exactValues(nodes, Array.from(points[0] as Float64Array, dyadic))[last] as [Dyadic];
      const size = bounds.size.reduce((most, one) => one.reduce((a, b) => Math.max(a, b), most), 1);
      const near = dyadic(lowerBound(nodes, bounds, last, row, {}) + 1e-6 * size);
      expect(atMost(y, near)).toBe(true);
    }),
  );
});

/** A layer y = W x + b as a node that reads node `from`. */
function dense(from: number, rows: readonly (readonly number[])[], bias = rows.map(() => 0)): Node {
  const taps = (rows[0] as readonly number[]).length;
  const weight = Float64Array.from(rows.flat());
  const reads = { positions: 1, taps, first: Int32Array.of(0, 1), runs: Int32Array.of(0, 0, taps) };
  return {
    op: 'affine',
    inputs: [from],
    size: rows.length,
    weight,
    bias: Float64Array.from(bias),
    ...reads,
  };
}

test('what cancels in the back-substitution is allowed for by the size of its terms', () => {
  const parts = fc.array(fc.double({ min: 1, max: 2, noNaN: true }), { minLength: 3, maxLength: 6 });
  fc.assert(
    fc.property(parts, parts, (weights, factors) => {
      const count = Math.min(weights.length, factors.length);
      const first = weights.slice(0, count).map((w) => 1e8 * w);
      const second = factors.slice(0, count);
      const others = second.slice(1).reduce((sum, f, k) => sum + f * (first[k + 1] as number), 0);
      first[0] = -others / (second[0] as number);
      const nodes: Node[] = [
        { op: 'input', inputs: [], size: 1 },
        dense(
          0,
          first.map((w) => [w]),
        ),
        dense(1, [second]),
      ];
      const one = Float64Array.of(1);
      const bounds = boundNodes(nodes, { lower: one, upper: one });
      const [y] = exactValues(nodes, [dyadic(1)])[2] as [Dyadic];
      for (const sign of [1, -1]) {
        const row = { outputs: [[0, sign] as const], inputs: [], bound: 0 };
        const bound = lowerBound(nodes, bounds, 2, row, {});
        expect(atMost(dyadic(bound), times(dyadic(sign), y))).toBe(true);
      }
    }),
  );
});

test('what cancels inside of a product is allowed for, where neither its values nor its factors show it', () => {
  const number = fc.double({ min: 1, max: 2, noNaN: true });
  fc.assert(
    fc.property(fc.tuple(number, number, number, number, number), ([w, f1, f2, x1, x2]) => {
      const [first, second] = [1e8 * w, (-f1 * 1e8 * w) / f2];
      const row = (v: number) => [v, (-v * x1) / x2];
      const inputs: Node = { op: 'input', inputs: [], size: 2 };
      const nodes: Node[] = [inputs, dense(0, [row(first), row(second)]), dense(1, [[f1, f2]])];
      const point = Float64Array.of(x1, x2);
      const bounds = boundNodes(nodes, { lower: point, upper: point });
      const [y] = exactValues(nodes, Array.from(point, dyadic))[2] as [Dyadic];
      for (const sign of [1, -1]) {
        const bound = lowerBound(nodes, bounds, 2, { outputs: [[0, sign]], inputs: [], bound: 0 }, {});
        expect(atMost(dyadic(bound), times(dyadic(sign), y))).toBe(true);
      }
    }),
  );
});

test('sums of what is exact are rounded outwards: x + relu(x) + x', () => {
  fc.assert(
    fc.property(fc.double({ min: 1, max: 2, noNaN: true }), (x) => {
      const nodes: Node[] = [
        { op: 'input', inputs: [], size: 1 },
        { op: 'relu', inputs: [0], size: 1 },
        { op: 'add', inputs: [1, 0], size: 1 },
        { op: 'add', inputs: [2, 0], size: 1 },
      ];
      const point = Float64Array.of(x);
      const { lower, upper } = boundNodes(nodes, { lower: point, upper: point });
      const [y] = exactValues(nodes, [dyadic(x)])[3] as [Dyadic];
      expect(atMost(dyadic(lower[3]?.[0] as number), y)).toBe(true);
      expect(atMost(y, dyadic(upper[3]?.[0] as number))).toBe(true);
    }),
  );
});

test('intervals allow for rounding at the size of a bias beside which the rest is small', () => {
  // Each term is less than half of what the bias rounds to: all of them are lost.
  const numbers = fc.array(fc.double({ min: 1, max: 2, noNaN: true }), { minLength: 64, maxLength: 64 });
  fc.assert(
    fc.property(numbers, numbers, fc.double({ min: 1e8, max: 2e8, noNaN: true }), (weights, x, bias) => {
      const nodes: Node[] = [{ op: 'input', inputs: [], size: 64 }, dense(0, [weights], [bias])];
      const point = Float64Array.from(x, (v) => v * 2e-9);
      const { lower, upper } = boundNodes(nodes, { lower: point, upper: point });
      const [y] = exactValues(nodes, Array.from(point, dyadic))[1] as [Dyadic];
      expect(atMost(dyadic(lower[1]?.[0] as number), y)).toBe(true);
      expect(atMost(y, dyadic(upper[1]?.[0] as number))).toBe(true);
    }),
  );
});

test('weights that overflow prove nothing', () => {
  const nodes: Node[] = [
    { op: 'input', inputs: [], size: 2 },
    dense(0, [[1e308, 1e308]]),
    { op: 'relu', inputs: [1], size: 1 },
  ];
  const bounds = boundNodes(
    nodes,
    { lower: Float64Array.of(10, 10), upper: Float64Array.of(11, 11) },
    () => undefined,
  );
  const row = { outputs: [[0, 1] as const], inputs: [], bound: 0 };
  expect(lowerBound(nodes, bounds, 2, row, {}) > 0).toBe(false);
});
