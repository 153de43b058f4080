import fc from 'fast-check';
import type { Highs } from 'highs';
import { describe, expect, it, vi } from 'vitest';
import { normalNumbers, uniformNumbers } from '../../testing/numbers.js';
import { dualBound, type LinearProgram, type Minimum, openLinearProgram } from './linear-solver.js';

/** How many of the next runs of the solver fail, and of how many it does not know what came out. */
const trouble = vi.hoisted(() => ({ failures: 0, unknown: 0 }));
vi.mock('highs', async (original) => {
  const { default: load } = await original<{ default: () => Promise<Highs> }>();
  return {
    default: async () => {
      const highs = await load();
      const createModel: Highs['createModel'] = (...given) => {
        const model = highs.createModel(...given);
        const run = model.run.bind(model);
        model.run = (...hooks) => {
          if (trouble.failures-- > 0) throw new Error('run failed with HiGHS status -1');
          return run(...hooks);
        };
        const status = model.getModelStatus.bind(model);
        model.getModelStatus = () => (trouble.unknown-- > 0 ? 15 : status());
        return model;
      };
      return { constants: highs.constants, createModel };
    },
  };
});

const COLUMNS = 5;

/** Rows Σ a v ≤ b that the origin fulfils, variables in [−1, 2]. */
const randomProgram = (rows: number, seed: number): LinearProgram => ({
  lower: new Float64Array(COLUMNS).fill(-1),
  upper: new Float64Array(COLUMNS).fill(2),
  starts: Int32Array.from({ length: rows + 1 }, (_, i) => i * COLUMNS),
  indices: Int32Array.from({ length: rows * COLUMNS }, (_, k) => k % COLUMNS),
  values: normalNumbers(`rows ${seed}`, rows * COLUMNS),
  rowLower: new Float64Array(rows).fill(Number.NEGATIVE_INFINITY),
  rowUpper: uniformNumbers(`ends ${seed}`, rows),
});

const dot = (a: Float64Array, b: Float64Array): number =>
  a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);
const costOf = (seed: number) => normalNumbers(`cost ${seed}`, COLUMNS);

/** The point fulfils the program, and its value is the bound: by weak duality it is the minimum. */
function expectMinimum(
  { lower, upper, values, rowUpper }: LinearProgram,
  cost: Float64Array,
  { bound, point }: Minimum,
): void {
  expect(Math.abs(dot(cost, point) - bound)).toBeLessThan(1e-8);
  point.forEach((v, j) => {
    expect(v).toBeGreaterThan((lower[j] as number) - 1e-8);
    expect(v).toBeLessThan((upper[j] as number) + 1e-8);
  });
  rowUpper.forEach((end, i) => {
    expect(dot(values.slice(i * COLUMNS, (i + 1) * COLUMNS), point)).toBeLessThan(end + 1e-8);
  });
}

describe('a linear program', () => {
  it('has its minimum at a feasible point, one cost after the other and after a variable is fixed and a row tightened, and any duals bound it from below', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.nat(), fc.nat(), async (rows, seed, other) => {
        const program = randomProgram(rows, seed);
        const open = await openLinearProgram(program, 10);
        for (const cost of [costOf(seed), costOf(other)]) {
          const found = open.minimum(cost) as Minimum;
          expectMinimum(program, cost, found);
          expect(dualBound(program, cost, normalNumbers(`duals ${other}`, rows))).toBeLessThan(
            found.bound + 1e-8,
          );
        }
        const ends = (value: number, given: Float64Array) => given.map((end, j) => (j === 2 ? value : end));
        open.bound(2, 0, 0);
        const fixed = { ...program, lower: ends(0, program.lower), upper: ends(0, program.upper) };
        expectMinimum(fixed, costOf(seed), open.minimum(costOf(seed)) as Minimum);
        // A row tightened to what the origin still fulfils.
        const rowUpper = program.rowUpper.map((end, i) => (i === 0 ? end / 10 : end));
        open.boundRow(0, Number.NEGATIVE_INFINITY, rowUpper[0] as number);
        expectMinimum({ ...fixed, rowUpper }, costOf(seed), open.minimum(costOf(seed)) as Minimum);
        open.close();
      }),
      { numRuns: 25 },
    );
  });

  it('has the same minima to the bit whatever was solved before, by the same solver or by a new one', async () => {
    const found = async (seed: number, seconds: number): Promise<(Minimum | undefined)[]> => {
      const open = await openLinearProgram(randomProgram(4 + (seed % 5), seed), seconds);
      const minima = [costOf(seed), costOf(seed + 1)].map((cost) => open.minimum(cost));
      open.bound(seed % COLUMNS, 0, 0.5);
      open.boundRow(0, Number.NEGATIVE_INFINITY, 0);
      minima.push(open.minimum(costOf(seed + 2)));
      open.close();
      return minima;
    };
    const seeds = Array.from({ length: 12 }, (_, seed) => seed);
    // Another limit takes a solver of its own.
    const alone: unknown[] = [];
    for (const seed of seeds) alone.push(await found(seed, 10 + seed));
    for (const seed of seeds.toReversed()) expect(await found(seed, 30)).toEqual(alone[seed]);
  });

  it('can be open beside others', async () => {
    const programs = [randomProgram(3, 1), randomProgram(6, 2)];
    const open = await Promise.all(programs.map((program) => openLinearProgram(program, 10)));
    for (const cost of [costOf(1), costOf(2)])
      programs.forEach((program, k) => {
        expectMinimum(program, cost, open[k]?.minimum(cost) as Minimum);
      });
    for (const each of open) each.close();
  });

  it('without a feasible point has no minimum, and gets one back when its ends are moved apart', async () => {
    const open = await openLinearProgram(
      { ...randomProgram(1, 1), values: Float64Array.of(1, 0, 0, 0, 0), rowUpper: Float64Array.of(-3) },
      10,
    );
    expect(open.minimum(costOf(1))).toBeUndefined();
    open.bound(0, -4, 2);
    expect(open.minimum(Float64Array.of(1, 0, 0, 0, 0))?.bound).toBeCloseTo(-4, 9);
    open.close();
  });

  it('with numbers that no solver takes is refused in a line that names them', async () => {
    for (const value of [1e16, Number.NaN])
      await expect(
        openLinearProgram({ ...randomProgram(1, 1), values: Float64Array.of(value, 0, 0, 0, 0) }, 10),
      ).rejects.toThrow(/^expected the solver to take the program, but it failed \(.*\)$/);
    const open = await openLinearProgram(randomProgram(1, 1), 10);
    expect(() => open.minimum(new Float64Array(COLUMNS).fill(Number.NaN))).toThrow(
      /^expected the solver to take the cost, but it failed/,
    );
    open.close();
  });

  it('that the solver cannot minimise from the last basis is minimised from nothing, and what cannot be at all is one line', async () => {
    const program = randomProgram(3, 4);
    const open = await openLinearProgram(program, 10);
    open.minimum(costOf(4));
    trouble.failures = 1;
    expectMinimum(program, costOf(5), open.minimum(costOf(5)) as Minimum);
    trouble.failures = 2;
    expect(() => open.minimum(costOf(6))).toThrow(
      'expected the solver to minimise, but it failed (run failed with HiGHS status -1)',
    );
    expectMinimum(program, costOf(6), open.minimum(costOf(6)) as Minimum);
    open.close();
  });

  it('are found once more from nothing where the solver does not know what it found', async () => {
    const program = randomProgram(3, 4);
    const open = await openLinearProgram(program, 10);
    trouble.unknown = 1;
    expectMinimum(program, costOf(5), open.minimum(costOf(5)) as Minimum);
    trouble.unknown = 2;
    expect(() => open.minimum(costOf(6))).toThrow('3 rows, but the solver ended with status 15');
    trouble.unknown = 0;
    expectMinimum(program, costOf(6), open.minimum(costOf(6)) as Minimum);
    open.close();
  });
});
