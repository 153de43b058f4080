import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalNumbers, uniformNumbers } from '../testing/numbers.js';
import { dualBound, type LinearProgram, openLinearProgram, SolverError } from './linear-solver.js';

const INTEGERS = 4;
const REALS = 3;
const COLUMNS = INTEGERS + REALS;

/** Rows Σ a v ≤ b that the origin fulfils; four variables in {0, 1}, the others in [−1, 2]. */
function randomProgram(rows: number, seed: number): LinearProgram {
  const all = Array.from({ length: COLUMNS }, (_, j) => j);
  return {
    lower: Float64Array.from(all, (j) => (j < INTEGERS ? 0 : -1)),
    upper: Float64Array.from(all, (j) => (j < INTEGERS ? 1 : 2)),
    integer: Int32Array.from(all, (j) => (j < INTEGERS ? 1 : 0)),
    starts: Int32Array.from({ length: rows + 1 }, (_, i) => i * COLUMNS),
    indices: Int32Array.from({ length: rows * COLUMNS }, (_, k) => k % COLUMNS),
    values: normalNumbers(`rows ${seed}`, rows * COLUMNS),
    rowLower: new Float64Array(rows).fill(Number.NEGATIVE_INFINITY),
    rowUpper: uniformNumbers(`ends ${seed}`, rows),
  };
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);
const cases = [fc.integer({ min: 1, max: 5 }), fc.nat(), fc.nat()] as const;
const costOf = (seed: number) => normalNumbers(`cost ${seed}`, COLUMNS);

describe('a linear program', () => {
  it('has its minimum at a feasible point, and any duals bound it from below', async () => {
    await fc.assert(
      fc.asyncProperty(...cases, async (rows, seed, other) => {
        const program = randomProgram(rows, seed);
        const open = await openLinearProgram(program, 10);
        // The second solve begins where the first ended.
        for (const cost of [costOf(seed), costOf(other)]) {
          const { bound, point } = open.relaxed(cost);
          expect(Math.abs(dot(cost, point) - bound)).toBeLessThan(1e-8);
          point.forEach((v, j) => {
            expect(v).toBeGreaterThan((program.lower[j] as number) - 1e-8);
            expect(v).toBeLessThan((program.upper[j] as number) + 1e-8);
          });
          for (let i = 0; i < rows; i++)
            expect(dot(program.values.slice(i * COLUMNS, (i + 1) * COLUMNS), point)).toBeLessThan((program.rowUpper[i] as number) + 1e-8);
          expect(dualBound(program, cost, normalNumbers(`duals ${other}`, rows))).toBeLessThan(bound + 1e-8);
        }
        open.close();
      }),
      { numRuns: 20 },
    );
  });

  it('with integers has the least minimum that fixing them in any way leaves', async () => {
    await fc.assert(
      fc.asyncProperty(...cases, async (rows, seed, other) => {
        const program = randomProgram(rows, seed);
        const cost = costOf(other);
        const open = await openLinearProgram(program, 10);
        const { bound } = open.integral(cost);
        open.close();
        let least = Number.POSITIVE_INFINITY;
        for (let signs = 0; signs < 1 << INTEGERS; signs++) {
          const end = (given: Float64Array) => given.map((v, j) => (j < INTEGERS ? (signs >> j) & 1 : v));
          const fixed = await openLinearProgram({ ...program, lower: end(program.lower), upper: end(program.upper) }, 10);
          try {
            least = Math.min(least, fixed.relaxed(cost).bound);
          } catch (error) {
            expect(error).toBeInstanceOf(SolverError); // these integers fulfil no rows
          }
          fixed.close();
        }
        expect(Math.abs(bound - least)).toBeLessThan(1e-7);
      }),
      { numRuns: 6 },
    );
  });

  it('without a feasible point ends in one line', async () => {
    const program = { ...randomProgram(1, 1), rowUpper: Float64Array.of(-1e3) };
    const open = await openLinearProgram(program, 10);
    expect(() => open.relaxed(costOf(1))).toThrow(/^expected a minimum over 7 variables and 1 rows, but the solver found no feasible point$/);
    open.close();
  });
});
