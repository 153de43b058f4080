import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeProgram, evaluate, gemm, input, mul, sum, tanh } from '../../graph/index.js';
import { distance, runProgram, separated } from '../../testing/operator-check.js';
import { openSession } from './session.js';

describe('sessions', () => {
  it('keep float64 to its last digits: a scale factor is not fused into a product as a float32 number', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0.01, max: 10, noNaN: true }), fc.nat(), async (scale, seed) => {
        const [a, b] = [input('a', [3, 4], 'float64'), input('b', [4, 3], 'float64')];
        const feeds = { a: separated(12, seed), b: separated(12, seed + 1) };
        for (const y of [
          gemm(mul(a, scale), b),
          mul(gemm(a, b), scale),
          sum(mul(a, scale), [0]),
          gemm(a, mul(tanh(b), scale)),
        ]) {
          const made = await runProgram({ y }, feeds);
          expect(distance(made.y as Float64Array, evaluate([y], feeds)[0] as Float64Array)).toBeLessThan(
            1e-14,
          );
        }
      }),
      { numRuns: 5 },
    );
  });

  it('say which input is missing or of another size', async () => {
    const session = await openSession(encodeProgram({ y: tanh(input('x', [2, 3])) }));
    await expect(session.run({})).rejects.toThrow('input x expects [2,3] float32, got nothing');
    await expect(session.run({ x: new Float32Array(5) })).rejects.toThrow(
      'input x expects [2,3] float32, got 5 values',
    );
    await session.close();
  });
});
