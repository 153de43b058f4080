import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { broadcastable, itHolds, shapes } from '../../testing/operator-check.js';
import { evaluate } from '../evaluate.js';
import { GraphError, type Tensor } from '../tensor.js';
import { add, addAll, div, mul, neg, sub } from './arithmetic.js';
import { constant, input, ones, zeros } from './leaves.js';

const pairs = (operator: (a: Tensor, b: Tensor) => Tensor) =>
  broadcastable(2).map((both) => ({
    shapes: both,
    build: ([a, b]: readonly Tensor[]) => operator(a as Tensor, b as Tensor),
  }));

describe('arithmetic', () => {
  itHolds('a + b', pairs(add));
  itHolds('a − b', pairs(sub));
  itHolds('a · b', pairs(mul));
  itHolds('a / b', pairs(div));
  itHolds(
    'a · a, one tensor twice',
    shapes().map((shape) => ({ shapes: [shape], build: ([a]) => mul(a as Tensor, a as Tensor) })),
  );
  itHolds(
    '−x',
    shapes().map((shape) => ({ shapes: [shape], build: ([a]) => neg(a as Tensor) })),
  );
  itHolds(
    'a sum of many terms, some of them equal',
    fc.tuple(shapes(), fc.integer({ min: 1, max: 5 })).map(([shape, count]) => ({
      shapes: Array.from({ length: count }, () => shape),
      build: (inputs) => addAll([...inputs, inputs[0] as Tensor]),
    })),
  );

  it('takes plain numbers on either side', () => {
    const x = input('x', [2], 'float64');
    const values = evaluate([add(1, x), sub(1, x), mul(3, x), div(1, x), sub(x, 1), div(x, 2)], {
      x: [2, -4],
    });
    expect(values.map((v) => [...v])).toEqual([
      [3, -3],
      [-1, 5],
      [6, -12],
      [0.5, -0.25],
      [1, -5],
      [1, -2],
    ]);
  });

  it('makes no node for a neutral constant unless that would change the shape', () => {
    const x = input('x', [3], 'float64');
    expect(
      [add(x, 0), add(0, x), sub(x, 0), mul(x, 1), mul(1, x), div(x, 1), neg(neg(x))].every((y) => y === x),
    ).toBe(true);
    expect(add(x, zeros([2, 3], 'float64')).shape).toEqual([2, 3]);
    expect(mul(x, ones([2, 1], 'float64')).shape).toEqual([2, 3]);
    expect(sub(0, x)).not.toBe(x);
    expect(div(1, x)).not.toBe(x);
  });

  it('refuses inputs of two types, even where one is a neutral constant', () => {
    const x = input('x', [3], 'float64');
    for (const operator of [add, sub, mul, div]) {
      expect(() => operator(x, input('y', [3], 'float32'))).toThrow(GraphError);
      expect(() =>
        operator(x, constant([operator === add || operator === sub ? 0 : 1], [1], 'float32')),
      ).toThrow(/inputs of one type/);
    }
  });
});
