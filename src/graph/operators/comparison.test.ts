import { describe, expect, it } from 'vitest';
import {
  broadcastable,
  type GraphCase,
  itHolds,
  runProgram,
  separated,
  shapes,
} from '../../testing/operator-check.js';
import { evaluate } from '../evaluate.js';
import type { Tensor } from '../tensor.js';
import { mul } from './arithmetic.js';
import { abs, greater, maximum, minimum, relu, sign, square, where } from './comparison.js';
import { input } from './leaves.js';

const pairs = (operator: (a: Tensor, b: Tensor) => Tensor) =>
  broadcastable(2).map(
    (both): GraphCase => ({ shapes: both, build: ([a, b]) => operator(a as Tensor, b as Tensor) }),
  );
const single = (operator: (x: Tensor) => Tensor) =>
  shapes().map((shape): GraphCase => ({ shapes: [shape], build: ([x]) => operator(x as Tensor) }));

describe('comparisons and piecewise-linear functions', () => {
  itHolds('max(a, b)', pairs(maximum));
  itHolds('min(a, b)', pairs(minimum));
  itHolds(
    'max(x, a number)',
    single((x) => maximum(x, 0.3)),
  );
  itHolds(
    'where(a > b, c, d)',
    broadcastable(4).map((all) => ({
      shapes: all,
      build: ([a, b, c, d]) => where(greater(a as Tensor, b as Tensor), c as Tensor, d as Tensor),
    })),
  );
  itHolds(
    'where(a > b, a, a number)',
    pairs((a, b) => where(greater(a, b), a, -0.5)),
  );
  itHolds('relu', single(relu));
  itHolds('|x|', single(abs));
  itHolds('x²', single(square));
  itHolds(
    'sign, flat but at zero',
    single((x) => mul(sign(x), x)),
  );

  it('compares to booleans, the same in ONNX Runtime', async () => {
    const [a, b] = [input('a', [4, 1], 'float64'), input('b', [5], 'float64')];
    const feeds = { a: separated(4, 3), b: separated(5, 8) };
    const expected = evaluate([greater(a, b)], feeds)[0] as Float64Array;
    expect(new Set(expected)).toEqual(new Set([0, 1]));
    expect([...((await runProgram({ holds: greater(a, b) }, feeds)).holds ?? [])]).toEqual([...expected]);
  });

  it('calls zero neither positive nor negative: sign and the derivatives of relu and |x| are 0 there', () => {
    const x = input('x', [1], 'float64');
    expect(evaluate([sign(x), relu(x), greater(x, 0)], { x: [0] }).map((v) => v[0])).toEqual([0, 0, 0]);
  });
});
