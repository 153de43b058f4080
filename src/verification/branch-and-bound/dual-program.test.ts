import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { input, mul } from '../../graph/index.js';
import { featuresOf, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain, type Network } from '../../network/network.js';
import { alphaCrownWith } from '../../relaxation/linear/alpha-crown.js';
import { crown } from '../../relaxation/linear/crown.js';
import type { Relaxation } from '../../relaxation/relaxation.js';
import { linearProgram } from '../../relaxation/solver/linear-program.js';
import { boundProblem, runStages } from '../../testing/bound-programs.js';
import {
  type DualCase,
  dualCase,
  nodeValues,
  randomMultipliers,
  randomRows,
  readBy,
  relusOf,
  runDual,
} from '../../testing/dual-cases.js';
import { normalNumbers } from '../../testing/numbers.js';
import { distance } from '../../testing/operator-check.js';
import {
  convolutionalNetworks,
  denseNetworks,
  importedNetworks,
  residualNetworks,
  smoothNetworks,
} from '../../testing/random-networks.js';
import { excess } from '../../testing/relaxation-margins.js';
import { nodeArray } from './relu-lines.js';

const COLUMNS = 12;
const ROUNDING = 1e-9;

const reluNetworks = fc.oneof(
  denseNetworks,
  convolutionalNetworks({ min: 1, max: 2 }),
  residualNetworks,
  importedNetworks,
);
const someRelus = reluNetworks.filter((net) => relusOf(net).length > 0);
const scenario = (networks: fc.Arbitrary<Network>) =>
  [networks, fc.nat(), fc.constantFrom(0.1, 0.5, 1)] as const;

/** c·f + d·x for column j at each point. */
function rowValues(
  { net, values, points, count }: DualCase,
  rows: Float64Array,
  column: number,
  inputRows?: Float64Array,
): Float64Array {
  const outputs = values.at(-1) as Float64Array;
  const columns = rows.length / net.classes;
  return Float64Array.from({ length: count }, (_, at) => {
    let value = 0;
    for (let k = 0; k < net.classes; k++)
      value += (rows[k * columns + column] as number) * (outputs[k * count + at] as number);
    inputRows?.forEach((d, i) => {
      if (i % columns === column) value += d * (points[Math.floor(i / columns) * count + at] as number);
    });
    return value;
  });
}

/** Numbers of the points that fulfil a column's decisions. */
function fulfilling(
  of: DualCase,
  multipliers: Readonly<Record<string, Float64Array>>,
  columns: number,
  column: number,
): number[] {
  const contradicted = new Set<number>();
  for (const node of relusOf(of.net)) {
    const sign = multipliers[nodeArray('sign', node)];
    const reads = readBy(of, node);
    for (let i = 0; i < (sign?.length ?? 0) / columns; i++)
      for (let at = 0; at < of.count; at++)
        if ((sign?.[i * columns + column] as number) * (reads[i * of.count + at] as number) < 0)
          contradicted.add(at);
  }
  return Array.from({ length: of.count }, (_, at) => at).filter((at) => !contradicted.has(at));
}

/**
 * Expects every column's bound to lie below its row wherever its decisions are fulfilled. @returns how many
 * points that were
 */
function expectSound(
  of: DualCase,
  bound: Float64Array,
  rows: Float64Array,
  multipliers: Readonly<Record<string, Float64Array>>,
  inputRows?: Float64Array,
): number {
  let met = 0;
  bound.forEach((lower, column) => {
    const value = rowValues(of, rows, column, inputRows);
    const least = fulfilling(of, multipliers, bound.length, column).reduce((worst, at) => {
      met++;
      return Math.min(worst, value[at] as number);
    }, Number.POSITIVE_INFINITY);
    expect(excess(Float64Array.of(lower), Float64Array.of(least))).toBeLessThan(ROUNDING);
  });
  return met;
}

/** Margins of a relaxation for rows [outputs, n] on the case's box. */
async function marginsOf(
  relaxation: Relaxation,
  { net, region }: DualCase,
  rows: Float64Array,
): Promise<Float64Array> {
  const coefficients = input('rows', [net.classes, rows.length / net.classes, 1], 'float64');
  const { stages, margins } = relaxation.bound({
    ...boundProblem(net, 1),
    specification: { kind: 'rows', coefficients },
  });
  const feeds = {
    ...region,
    lower: region['box:lower'] as Float64Array,
    upper: region['box:upper'] as Float64Array,
    rows,
  };
  const [result] = await runStages(
    [...stages, { kind: 'whole', outputs: { margins: mul(margins, 1) } }],
    [feeds],
  );
  return result?.outputs.margins as Float64Array;
}

describe('the bound at any multipliers', () => {
  it('with α in [0, 1] and β ≥ 0 lies below the row at every input that fulfils the decisions', async () => {
    let [met, decided] = [0, 0];
    await fc.assert(
      fc.asyncProperty(...scenario(fc.oneof(reluNetworks, smoothNetworks)), async (net, seed, epsilon) => {
        const of = await dualCase(net, seed, epsilon);
        const rows = randomRows(net, COLUMNS, seed);
        const inputRows = normalNumbers(`input rows ${seed}`, featuresOf(net.input) * COLUMNS);
        for (const share of [0, 0.3, 1]) {
          const multipliers = randomMultipliers(of, COLUMNS, seed, share);
          const shape = {
            columns: COLUMNS,
            iterations: 0,
            start: 'rows',
            warm: true,
            decisions: share > 0,
          } as const;
          const { bound } = await runDual(of, shape, { rows, ...multipliers });
          met += expectSound(of, bound as Float64Array, rows, multipliers);
          const mixed = await runDual(
            of,
            { ...shape, inputRows: true },
            { rows, ...multipliers, 'input rows': inputRows },
          );
          expectSound(of, mixed.bound as Float64Array, rows, multipliers, inputRows);
          for (const [name, sign] of Object.entries(multipliers))
            if (name.startsWith('sign')) decided += sign.filter((s) => s !== 0).length;
        }
      }),
      { numRuns: 8 },
    );
    expect(met).toBeGreaterThan(5000);
    expect(decided).toBeGreaterThan(100);
  });

  it("is CROWN's margin at CROWN's α, with no decision", async () => {
    await fc.assert(
      fc.asyncProperty(...scenario(fc.oneof(reluNetworks, smoothNetworks)), async (net, seed, epsilon) => {
        const of = await dualCase(net, seed, epsilon);
        const rows = randomRows(net, COLUMNS, seed);
        const { bound } = await runDual(of, { columns: COLUMNS, iterations: 0, start: 'rows' }, { rows });
        expect(distance(bound as Float64Array, await marginsOf(crown, of, rows))).toBeLessThan(ROUNDING);
      }),
      { numRuns: 8 },
    );
  });

  it('is the value itself on a box that is a point', async () => {
    await fc.assert(
      fc.asyncProperty(someRelus, fc.nat(), async (net, seed) => {
        const of = await dualCase(net, seed, 0, 1);
        const rows = randomRows(net, COLUMNS, seed);
        const { bound } = await runDual(of, { columns: COLUMNS, iterations: 0, start: 'rows' }, { rows });
        const values = Float64Array.from({ length: COLUMNS }, (_, j) => rowValues(of, rows, j)[0] as number);
        expect(distance(bound as Float64Array, values)).toBeLessThan(ROUNDING);
      }),
      { numRuns: 4 },
    );
  });

  it('is the same for a neuron as for the row that picks it', async () => {
    await fc.assert(
      fc.asyncProperty(...scenario(someRelus), async (net, seed, epsilon) => {
        const of = await dualCase(net, seed, epsilon);
        const neuron = Int32Array.from({ length: COLUMNS }, (_, j) => (j * 7) % net.classes);
        const side = Float64Array.from({ length: COLUMNS }, (_, j) => (j % 2 === 0 ? 1 : -1));
        const rows = new Float64Array(net.classes * COLUMNS);
        for (const [j, k] of neuron.entries()) rows[k * COLUMNS + j] = side[j] as number;
        const shape = { columns: COLUMNS, iterations: 3 };
        const picked = await runDual(of, { ...shape, start: 'neurons' }, { neuron, side });
        const given = await runDual(of, { ...shape, start: 'rows' }, { rows });
        expect(picked.bound).toEqual(given.bound);
      }),
      { numRuns: 3 },
    );
  });
});

describe('ascent', () => {
  /** Places of the case's multipliers: every unstable ReLU of every node. */
  const placesOf = (of: DualCase) =>
    relusOf(of.net).flatMap((node) => {
      const [lower, upper] = [
        of.region[nodeArray('lower', node)] as Float64Array,
        of.region[nodeArray('upper', node)] as Float64Array,
      ];
      return Array.from(lower.keys()).flatMap((i) =>
        (lower[i] as number) < 0 && (upper[i] as number) > 0 ? [{ node, i }] : [],
      );
    });

  it("first moves each multiplier by its step, 0.1 for α and 0.05 for β, the way in which the bound's differences say it rises", async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(...scenario(someRelus), async (net, seed, epsilon) => {
        const of = await dualCase(net, seed, epsilon);
        const places = placesOf(of).slice(0, 40);
        fc.pre(places.length > 0);
        const h = 1e-6;
        // One row and one set of multipliers in all columns; column 2k and 2k + 1 have the k-th moved down
        // and up.
        const columns = 2 * places.length;
        const repeat = (array: Float64Array) =>
          Float64Array.from(
            { length: array.length * columns },
            (_, at) => array[Math.floor(at / columns)] as number,
          );
        const rows = repeat(randomRows(net, 1, seed));
        const begin = Object.fromEntries(
          Object.entries(randomMultipliers(of, 1, seed, 0.4)).map(([name, array]) => [
            name,
            repeat(name.startsWith('p') ? array.map((p) => 0.2 + 0.6 * Math.min(p, 1)) : array),
          ]),
        );
        const moved = Object.fromEntries(Object.entries(begin).map(([name, array]) => [name, array.slice()]));
        places.forEach(({ node, i }, k) => {
          const p = moved[nodeArray('p', node)] as Float64Array;
          p[i * columns + 2 * k] = (p[i * columns + 2 * k] as number) - h;
          p[i * columns + 2 * k + 1] = (p[i * columns + 2 * k + 1] as number) + h;
        });
        const shape = { columns, start: 'rows', warm: true, decisions: true } as const;
        const values = (await runDual(of, { ...shape, iterations: 0 }, { rows, ...moved }))
          .bound as Float64Array;
        const [value] = (await runDual(of, { ...shape, iterations: 0 }, { rows, ...begin }))
          .bound as Float64Array;
        const stepped = await runDual(of, { ...shape, iterations: 1, keep: true }, { rows, ...begin });
        places.forEach(({ node, i }, k) => {
          const [below, above] = [
            ((value as number) - (values[2 * k] as number)) / h,
            ((values[2 * k + 1] as number) - (value as number)) / h,
          ];
          // At a kink the two sides differ and there is nothing to compare, and where nothing moves the
          // bound, no way to go.
          if (Math.abs(below - above) > 1e-3 * Math.abs(below) || Math.abs(below) < 1e-4) return;
          const [at, name] = [i * columns, nodeArray('p', node)];
          const size = begin[nodeArray('sign', node)]?.[at] === 0 ? 0.1 : 0.05;
          expect((stepped[name]?.[at] as number) - (begin[name]?.[at] as number)).toBeCloseTo(
            size * Math.sign(below),
            3,
          );
          compared++;
        });
      }),
      { numRuns: 8 },
    );
    expect(compared).toBeGreaterThan(40);
  });

  it('never ends below its start, nor lower for more steps, and stays a bound', async () => {
    let risen = 0;
    await fc.assert(
      fc.asyncProperty(...scenario(someRelus), async (net, seed, epsilon) => {
        const of = await dualCase(net, seed, epsilon);
        const rows = randomRows(net, COLUMNS, seed);
        const multipliers = randomMultipliers(of, COLUMNS, seed, 0.3);
        let before: Float64Array | undefined;
        for (const iterations of [0, 3, 12]) {
          const shape = {
            columns: COLUMNS,
            iterations,
            start: 'rows',
            warm: true,
            decisions: true,
            keep: iterations > 0,
          } as const;
          const { bound, ...after } = await runDual(of, shape, { rows, ...multipliers });
          if (before) expect(excess(before, bound as Float64Array)).toBeLessThan(ROUNDING);
          if (before && excess(bound as Float64Array, before) > 1e-3) risen++;
          expectSound(of, bound as Float64Array, rows, multipliers);
          for (const node of relusOf(net)) {
            const sign = multipliers[nodeArray('sign', node)] as Float64Array;
            (after[nodeArray('p', node)] as Float64Array | undefined)?.forEach((p, at) => {
              expect(p >= 0 && (p <= 1 || sign[at] !== 0)).toBe(true);
            });
          }
          before = bound as Float64Array;
        }
      }),
      { numRuns: 6 },
    );
    expect(risen).toBeGreaterThan(3);
  });

  it('without decisions leads from CROWN towards the triangle LP, beside α-CROWN, and never beyond', async () => {
    let [gap, left] = [0, 0];
    await fc.assert(
      fc.asyncProperty(...scenario(fc.oneof(denseNetworks, residualNetworks)), async (net, seed, epsilon) => {
        const of = await dualCase(net, seed, epsilon);
        const rows = randomRows(net, 4, seed);
        const { bound } = await runDual(of, { columns: 4, iterations: 60, start: 'rows' }, { rows });
        const [first, optimised, best] = [
          await marginsOf(crown, of, rows),
          await marginsOf(alphaCrownWith({ iterations: 60 }), of, rows),
          await marginsOf(linearProgram, of, rows),
        ];
        expect(excess(first, bound as Float64Array)).toBeLessThan(ROUNDING);
        expect(excess(bound as Float64Array, best)).toBeLessThan(1e-7);
        optimised.forEach((value, j) => {
          gap += value - (first[j] as number);
          left += value - (bound?.[j] as number);
        });
      }),
      { numRuns: 8 },
    );
    expect(gap).toBeGreaterThan(0.1);
    expect(Math.abs(left) / gap).toBeLessThan(0.1);
  });

  it('ends as soon as every bound exceeds its threshold', async () => {
    await fc.assert(
      fc.asyncProperty(...scenario(someRelus), async (net, seed, epsilon) => {
        const of = await dualCase(net, seed, epsilon);
        const rows = randomRows(net, COLUMNS, seed);
        const run = (iterations: number, threshold: Float64Array) =>
          runDual(of, { columns: COLUMNS, iterations, start: 'rows', keep: true }, { rows, threshold });
        const reached = await run(10, new Float64Array(COLUMNS).fill(-1e20));
        const one = await run(1, new Float64Array(COLUMNS).fill(1e30));
        expect(reached).toEqual(one);
      }),
      { numRuns: 3 },
    );
  });

  it('has no end where no input fulfils the decisions', async () => {
    // z₀ = x − ½ ≥ 0 and z₁ = −x − ½ ≥ 0 contradict each other.
    const net = chain(
      'contradiction',
      [1, 1, 1],
      [linearLayer([1, 1, 1], 2), reluLayer([2, 1, 1]), linearLayer([2, 1, 1], 1)],
    );
    const half = (...values: number[]) => Float64Array.from(values);
    const region = {
      ...{ '0.weight': half(1, -1), '0.bias': half(-0.5, -0.5), '2.weight': half(-1, -1), '2.bias': half(0) },
      ...{
        'box:lower': half(-1),
        'box:upper': half(1),
        'lower:1': half(-1.5, -1.5),
        'upper:1': half(0.5, 0.5),
      },
    };
    const of: DualCase = { net, region, points: half(0), values: [], count: 1 };
    const decided = { rows: half(1), 'p:1': half(0, 0), 'sign:1': half(1, 1) };
    const shape = { columns: 1, start: 'rows', warm: true, decisions: true } as const;
    const [short, long] = [
      await runDual(of, { ...shape, iterations: 5 }, decided),
      await runDual(of, { ...shape, iterations: 60 }, decided),
    ];
    expect(short.bound?.[0]).toBeGreaterThan(-1.5);
    expect(long.bound?.[0]).toBeGreaterThan(0.5); // the network itself is never above 0
  });
});

it('the input at which the linear bound is least is a corner of the box, with the outputs of the network there', async () => {
  await fc.assert(
    fc.asyncProperty(...scenario(someRelus), async (net, seed, epsilon) => {
      const of = await dualCase(net, seed, epsilon);
      const rows = randomRows(net, COLUMNS, seed);
      const multipliers = randomMultipliers(of, COLUMNS, seed, 0.3);
      const shape = {
        columns: COLUMNS,
        iterations: 2,
        start: 'rows',
        warm: true,
        decisions: true,
        scores: true,
      } as const;
      const made = await runDual(of, shape, { rows, ...multipliers });
      const point = made.point as Float64Array;
      point.forEach((x, at) => {
        const i = Math.floor(at / COLUMNS);
        expect([of.region['box:lower']?.[i], of.region['box:upper']?.[i]]).toContain(x);
      });
      expect(
        distance(
          made['at point'] as Float64Array,
          (await nodeValues(net, of.region, point)).at(-1) as Float64Array,
        ),
      ).toBeLessThan(ROUNDING);
    }),
    { numRuns: 4 },
  );
});

it('what is decided or stable scores nothing', async () => {
  await fc.assert(
    fc.asyncProperty(...scenario(someRelus), async (net, seed, epsilon) => {
      const of = await dualCase(net, seed, epsilon);
      const multipliers = randomMultipliers(of, COLUMNS, seed, 0.5);
      const shape = {
        columns: COLUMNS,
        iterations: 1,
        start: 'rows',
        warm: true,
        decisions: true,
        scores: true,
      } as const;
      const made = await runDual(of, shape, { rows: randomRows(net, COLUMNS, seed), ...multipliers });
      for (const node of relusOf(net)) {
        const [lower, upper] = [
          of.region[nodeArray('lower', node)] as Float64Array,
          of.region[nodeArray('upper', node)] as Float64Array,
        ];
        (made[nodeArray('score', node)] as Float64Array).forEach((score, at) => {
          const i = Math.floor(at / COLUMNS);
          const open =
            (lower[i] as number) < 0 &&
            (upper[i] as number) > 0 &&
            multipliers[nodeArray('sign', node)]?.[at] === 0;
          expect(open ? score >= 0 : score === 0).toBe(true);
        });
      }
    }),
    { numRuns: 4 },
  );
});
