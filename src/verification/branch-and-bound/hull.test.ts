import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate, input, type Tensor } from '../../graph/index.js';
import { INPUT } from '../../network/network.js';
import { runStages } from '../../testing/bound-programs.js';
import {
  type DualCase,
  dualCase,
  randomMultipliers,
  randomRows,
  readBy,
  relusOf,
  runDual,
} from '../../testing/dual-cases.js';
import { normalNumbers, pointsOf, uniformNumbers } from '../../testing/numbers.js';
import { convolutionalNetworks } from '../../testing/random-networks.js';
import { randomSides } from '../../testing/random-sides.js';
import { belowHull, type Hull, hullNeuron, hullShares } from './hull.js';
import { hullNodes, sidesOf } from './hull-choice.js';
import { nodeArray } from './relu-lines.js';

const ROUNDING = 1e-9;

/** One neuron over a box: weights, bias, bounds l < 0 < u of w·x + b. */
interface Neuron {
  readonly w: Float64Array;
  readonly b: number;
  readonly box: { readonly lower: Float64Array; readonly upper: Float64Array };
  readonly l: number;
  readonly u: number;
}

const dot = (a: ArrayLike<number>, x: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, i) => sum + value * (x[i] as number), 0);

/** A neuron whose sign is open; its bounds are exact, or closer to 0 at some `share` of the box's values. */
function neuronOf(seed: number, inputs: number): Neuron {
  const w = normalNumbers(`w ${seed}`, inputs);
  const lower = normalNumbers(`lower ${seed}`, inputs);
  const upper = uniformNumbers(`width ${seed}`, inputs).map((d, i) => (lower[i] as number) + 0.1 + d);
  const least = w.reduce((sum, c, i) => sum + c * ((c > 0 ? lower : upper)[i] as number), 0);
  const greatest = w.reduce((sum, c, i) => sum + c * ((c > 0 ? upper : lower)[i] as number), 0);
  const at = 0.2 + 0.6 * (uniformNumbers(`bias ${seed}`, 1)[0] as number);
  const b = -(least + at * (greatest - least));
  return { w, b, box: { lower, upper }, l: least + b, u: greatest + b };
}

/** The upper side of v at θ, a function of x. */
function sideOf({ w, b, box, l, u }: Neuron, v: Float64Array, theta: number): (x: Float64Array) => number {
  const { least, reach } = sidesOf(v, w, Float64Array.of(b), Float64Array.of(u - l), box);
  const number = (name: string, shape = [1, 1]) => input(name, shape, 'float64');
  const hull: Hull = {
    from: INPUT,
    v: number('v', [v.length, 1]),
    ...{ least: number('least'), reach: number('reach'), slope: number('slope') },
    ...{ lower: number('lower'), width: number('width') },
  };
  const { moved, intercept, beyond } = belowHull(hull, number('theta'));
  const feeds = { v, least, reach, slope: [u / (u - l)], lower: [l], width: [u - l], theta: [theta] };
  const [share, constant, sent] = evaluate([moved, intercept, beyond(number('one'))], { ...feeds, one: [1] });
  const pi = (share?.[0] as number) + u / (u - l);
  return (x) => pi * (dot(w, x) + b) + dot(sent as Float64Array, x) + (constant?.[0] as number);
}

const relu = (z: number): number => Math.max(0, z);
const someNeuron = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 5 }));

describe('the upper side of a neuron', () => {
  it('lies above it in all of the box, whatever v and θ', () => {
    fc.assert(
      fc.property(someNeuron, fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }), (of, any, theta) => {
        const [seed, inputs] = of;
        const neuron = neuronOf(seed, inputs);
        const shares = uniformNumbers(`m ${seed}`, inputs);
        const v = any
          ? normalNumbers(`v ${seed}`, inputs)
          : neuron.w.map((w, i) => w * (shares[i] as number));
        const above = sideOf(neuron, v, theta);
        for (const x of pointsOf(neuron.box, seed, 50))
          expect(above(x)).toBeGreaterThanOrEqual(relu(dot(neuron.w, x) + neuron.b) - ROUNDING);
      }),
      { numRuns: 300 },
    );
  });

  it('is that of the triangle at θ = 0', () => {
    fc.assert(
      fc.property(someNeuron, ([seed, inputs]) => {
        const neuron = neuronOf(seed, inputs);
        const { w, b, l, u } = neuron;
        const above = sideOf(neuron, normalNumbers(`v ${seed}`, inputs), 0);
        for (const x of pointsOf(neuron.box, seed, 50))
          expect(above(x)).toBeCloseTo((u / (u - l)) * (dot(w, x) + b - l), 9);
      }),
    );
  });

  it('touches a neuron of two inputs at three corners, where the triangle does at two', () => {
    // y = max(0, x₁ + x₂ − 1.2) on [0, 1]²: 0 at all corners but (1, 1), where it is 0.8.
    const neuron = {
      w: Float64Array.of(1, 1),
      b: -1.2,
      box: { lower: new Float64Array(2), upper: new Float64Array(2).fill(1) },
      ...{ l: -1.2, u: 0.8 },
    };
    const touches = (v: number[], theta: number) => {
      const side = sideOf(neuron, Float64Array.from(v), theta);
      const corners = pointsOf(neuron.box, 0, 50).slice(0, 4);
      return corners.filter((x) => side(x) - relu(dot(neuron.w, x) + neuron.b) < 1e-5).length;
    };
    expect(touches([1, 1], 0)).toBe(2);
    // y ≤ 0.8 x₁.
    expect(touches([1, 0], 0.8)).toBe(3);
  });
});

describe('sides that are chosen', () => {
  it('have s and r that enclose the exact ones, whatever float32 loses in their sums', async () => {
    const [inputs, rows] = [400, 20];
    const single = (numbers: Float64Array) => Float32Array.from(numbers);
    for (const seed of [1, 2, 3]) {
      // Ends far from 0: sums cancel.
      const lower = single(uniformNumbers(`lower ${seed}`, inputs).map((x) => 100 * x));
      const upper = lower.map((l) => Math.fround(l + 0.01));
      const w = single(normalNumbers(`w ${seed}`, inputs * rows));
      const bias = single(normalNumbers(`b ${seed}`, rows).map((b) => 100 * b));
      const m = single(uniformNumbers(`m ${seed}`, inputs * rows));
      const given = (name: string, shape: number[]) => input(name, shape, 'float32');
      const box = { lower: given('lower', [inputs, 1]), upper: given('upper', [inputs, 1]) };
      const span = hullNeuron(INPUT, given('l', [rows, 1]), given('u', [rows, 1]), (_, value) => value);
      const shares = hullShares(
        ...([1, span, given('w', [inputs, rows]), given('b', [rows, 1]), box] as const),
        ...([given('m', [inputs, rows]), (_: string, value: Tensor) => value] as const),
      );
      const { v, least, reach } = shares.at(shares.begin);
      const outputs = { v, least, reach };
      const [l, u] = [new Float32Array(rows).fill(-1), new Float32Array(rows).fill(1)];
      const [made] = await runStages(
        [{ kind: 'whole', outputs }],
        [{ w, b: bias, m, l, u, lower, upper } as never],
      );
      const found = made?.outputs as Record<string, Float32Array>;
      const exact = exactSides(found.v as Float32Array, w, bias, { lower, upper });
      exact.forEach(({ s, r }, row) => {
        // v·x − s at z = 0, v·x + r at z = 1.
        const least = found.least?.[row] as number;
        const greatest = 2 * (found.reach?.[row] as number) - least;
        expect(least).toBeLessThanOrEqual(s);
        expect(greatest).toBeGreaterThanOrEqual(r);
        const size = 1e-2 * (1 + Math.abs(s) + Math.abs(r));
        expect([s - least < size, greatest - r < size]).toEqual([true, true]);
      });
    }
  });
});

/** s and r in float64 of each row. */
function exactSides(
  v: Float32Array,
  w: Float32Array,
  bias: Float32Array,
  { lower, upper }: { readonly lower: Float32Array; readonly upper: Float32Array },
) {
  const rows = bias.length;
  return Array.from(bias, (b, row) => {
    let [s, r] = [0, b];
    lower.forEach((low, i) => {
      const side = v[i * rows + row] as number;
      const rest = (w[i * rows + row] as number) - side;
      const high = upper[i] as number;
      s += side * (side > 0 ? low : high);
      r += rest * (rest > 0 ? high : low);
    });
    return { s, r };
  });
}

describe('the bound of a network with sides of hulls', () => {
  it('lies below its rows at every input that fulfils the decisions', async () => {
    const COLUMNS = 8;
    let [met, moved] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        convolutionalNetworks({ min: 1, max: 2 }),
        fc.nat(),
        fc.boolean(),
        async (net, seed, any) => {
          const of = await dualCase(net, seed, 0.5);
          const sides = await randomSides(of, seed, any ? 'any' : 'shares');
          if (Object.keys(sides).length === 0) return;
          const capacity = Object.fromEntries(relusOf(net).map((k) => [k, 1]));
          const hulls = hullNodes({ network: net }, { capacity });
          const rows = randomRows(net, COLUMNS, seed);
          for (const share of [0, 0.4]) {
            const multipliers = randomMultipliers(of, COLUMNS, seed, share);
            const shape = { columns: COLUMNS, iterations: 0, start: 'rows', warm: true } as const;
            const feeds = { rows, ...multipliers };
            const plain = await runDual(of, { ...shape, decisions: share > 0 }, feeds);
            const { bound } = await runDual(
              of,
              { ...shape, decisions: share > 0, hulls },
              { ...feeds, ...sides },
            );
            (bound as Float64Array).forEach((lower, j) => {
              if (lower !== plain.bound?.[j]) moved++;
              for (let at = 0; at < of.count; at++) {
                if (contradicted(of, multipliers, COLUMNS, j, at)) continue;
                met++;
                const outputs = of.values.at(-1) as Float64Array;
                let value = 0;
                for (let c = 0; c < net.classes; c++)
                  value += (rows[c * COLUMNS + j] as number) * (outputs[c * of.count + at] as number);
                expect(lower).toBeLessThanOrEqual(value + ROUNDING * (1 + Math.abs(value)));
              }
            });
          }
        },
      ),
      { numRuns: 12 },
    );
    expect(met).toBeGreaterThan(5000);
    expect(moved).toBeGreaterThan(50);
  });
});

/** Whether a column's decisions do not hold at a point. */
function contradicted(
  of: DualCase,
  multipliers: Readonly<Record<string, Float64Array>>,
  columns: number,
  column: number,
  at: number,
): boolean {
  return relusOf(of.net).some((node) => {
    const sign = multipliers[nodeArray('sign', node)];
    const reads = readBy(of, node);
    return Array.from({ length: (sign?.length ?? 0) / columns }).some(
      (_, i) => (sign?.[i * columns + column] as number) * (reads[i * of.count + at] as number) < 0,
    );
  });
}
