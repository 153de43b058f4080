import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GraphCase, itHolds, runProgram, shapes } from '../../testing/operator-check.js';
import { evaluate } from '../evaluate.js';
import type { Tensor } from '../tensor.js';
import { input } from './leaves.js';
import { exp, log, logSumExp, sigmoid, sqrt, tanh } from './transcendental.js';

const single = (operator: (x: Tensor) => Tensor) =>
  shapes(0, 3).map((shape): GraphCase => ({ shapes: [shape], build: ([x]) => operator(x as Tensor) }));

describe('smooth functions', () => {
  itHolds('exp', single(exp));
  itHolds('log', single(log), { positive: true });
  itHolds('sqrt', single(sqrt), { positive: true });
  itHolds('tanh', single(tanh));
  itHolds('sigmoid', single(sigmoid));
  itHolds(
    'logSumExp',
    shapes(1, 4).chain((shape) =>
      fc
        .subarray(
          shape.map((_, i) => i),
          { minLength: 1 },
        )
        .map((axes): GraphCase => ({ shapes: [shape], build: ([x]) => logSumExp(x as Tensor, axes) })),
    ),
    { runs: 10 },
  );

  it('logSumExp overflows neither in the reference nor in float32', async () => {
    const feeds = { x: [1000, 999, -1000] };
    const expected = 1000 + Math.log1p(Math.exp(-1));
    expect((evaluate([logSumExp(input('x', [3], 'float64'), [0])], feeds)[0] as Float64Array)[0]).toBeCloseTo(
      expected,
      10,
    );
    const made = await runProgram({ y: logSumExp(input('x', [3], 'float32'), [0]) }, feeds);
    expect(made.y?.[0]).toBeCloseTo(expected, 3);
  });
});
