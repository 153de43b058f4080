import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain } from '../../network/network.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { normalNumbers } from '../../testing/numbers.js';
import { planStore } from '../proof/context.js';
import type { Ends, Engine } from './engine.js';
import { createLeafSolver } from './leaf.js';

const HIDDEN = 4;
const plane = chain(
  'plane',
  [2, 1, 1],
  [linearLayer([2, 1, 1], HIDDEN), reluLayer([HIDDEN, 1, 1]), linearLayer([HIDDEN, 1, 1], 2)],
);
const executor = createExecutor();
afterAll(() => executor.close());

const box = { lower: Float64Array.of(-1, -0.5), upper: Float64Array.of(1, 0.75) };
/** Nothing is known of the neurons. */
const hidden = new Map<number, Ends>([
  [1, { lower: new Float32Array(HIDDEN).fill(-1e3), upper: new Float32Array(HIDDEN).fill(1e3) }],
]);

function weights(seed: number) {
  const [w, b, v, c] = [2 * HIDDEN, HIDDEN, 2 * HIDDEN, 2].map((n, k) =>
    Float32Array.from(normalNumbers(`leaf ${seed} ${k}`, n)),
  );
  return { '0.weight': w, '0.bias': b, '2.weight': v, '2.bias': c } as Record<string, Float32Array>;
}

function outputsAt(p: Record<string, Float32Array>, x: ArrayLike<number>): number[] {
  const at = (name: string, i: number) => p[name]?.[i] as number;
  const z = Array.from(
    { length: HIDDEN },
    (_, h) =>
      at('0.weight', 2 * h) * (x[0] as number) +
      at('0.weight', 2 * h + 1) * (x[1] as number) +
      at('0.bias', h),
  );
  return [0, 1].map((k) =>
    z.reduce((sum, value, h) => sum + at('2.weight', k * HIDDEN + h) * Math.max(value, 0), at('2.bias', k)),
  );
}

describe('a part of a box with all ReLUs decided', () => {
  it('is bounded exactly: the least over all signs is below every sample, and met by the point it names, for single rows and conjunctions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1e6), fc.boolean(), async (seed, mixed) => {
        const parameters = weights(seed);
        const engine: Engine = {
          network: plane,
          dtype: 'float32',
          threads: 1,
          plan: planStore(),
          run: async (plan, feeds) => (await executor.run(plan, { ...parameters, ...feeds })).outputs,
          expired: () => false,
        };
        const rows = [
          {
            coefficients: Float64Array.of(1, -0.5),
            threshold: 0.2,
            ...(mixed && { inputs: Float64Array.of(0.3, -1) }),
          },
          { coefficients: Float64Array.of(-0.5, 1), threshold: -0.1 },
        ];
        const worst = (x: ArrayLike<number>) => {
          const y = outputsAt(parameters, x);
          return Math.max(
            ...rows.map(({ coefficients: c, inputs: d, threshold }) => {
              const own = d ? (d[0] as number) * (x[0] as number) + (d[1] as number) * (x[1] as number) : 0;
              return (
                (c[0] as number) * (y[0] as number) + (c[1] as number) * (y[1] as number) + own - threshold
              );
            }),
          );
        };
        const solver = await createLeafSolver(engine, box, hidden);
        let least = { bound: Number.POSITIVE_INFINITY, point: undefined as Float32Array | undefined };
        for (let bits = 0; bits < 2 ** HIDDEN; bits++) {
          const signs = new Map(
            Array.from({ length: HIDDEN }, (_, i) => [i, (bits >> i) & 1 ? 1 : -1] as const),
          );
          const solved = await solver?.solve(new Map([[1, signs]]), rows);
          expect(solved).toBeDefined();
          if (solved && solved.bound < least.bound) least = solved;
        }
        for (let i = 0; i <= 40; i++)
          for (let j = 0; j <= 40; j++)
            expect(worst([-1 + i / 20, -0.5 + (1.25 * j) / 40])).toBeGreaterThan(least.bound - 1e-4);
        expect(worst(least.point as Float32Array)).toBeCloseTo(least.bound, 3);
      }),
      { numRuns: 8 },
    );
  });

  it('is not empty where its signs miss each other by less than the rounding of float32', async () => {
    // z₀ = x₀ ≥ 0 and z₁ = −x₀ − 5e-7 ≥ 0: in float32 sums of terms of size 1 such signs can both be seen.
    const parameters: Record<string, Float32Array> = {
      '0.weight': Float32Array.of(1, 0, -1, 0, 0, 1, 0, 1),
      '0.bias': Float32Array.of(0, -5e-7, 1, 1),
      '2.weight': new Float32Array(2 * HIDDEN).fill(1),
      '2.bias': Float32Array.of(0, 0),
    };
    const engine: Engine = {
      network: plane,
      dtype: 'float32',
      threads: 1,
      plan: planStore(),
      run: async (plan, feeds) => (await executor.run(plan, { ...parameters, ...feeds })).outputs,
      expired: () => false,
    };
    const solver = await createLeafSolver(engine, box, hidden);
    const signs = (second: 1 | -1) =>
      new Map([[1, new Map<number, 1 | -1>([1, second, 1, 1].map((sign, h) => [h, sign as 1 | -1]))]]);
    const rows = [{ coefficients: Float64Array.of(1, 0), threshold: 0 }];
    const both = await solver?.solve(signs(1), rows);
    // The least of z₂ + z₃ = 2 x₁ + 2 on the box is 1.
    expect(both?.bound).toBeLessThan(1.01);
    expect((await solver?.solve(signs(-1), rows))?.bound).toBeLessThan(1.01);
  });
});
