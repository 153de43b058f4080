import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { broadcastable, type GraphCase, itHolds, shapes } from '../../testing/operator-check.js';
import { broadcastShapes } from '../broadcast.js';
import type { Tensor } from '../tensor.js';
import { broadcastTo, sum, sumTo, total } from './broadcasting.js';
import { input } from './leaves.js';

/** A small shape and a larger one that it broadcasts to. */
const smallAndLarge = broadcastable(2).map((both) => {
  const target = broadcastShapes(
    'test',
    both.map((shape) => input('', shape)),
  );
  return { small: both[0] as number[], large: [2, ...target] };
});

describe('broadcasting and summation', () => {
  itHolds(
    'broadcastTo',
    smallAndLarge.map(({ small, large }) => ({
      shapes: [small],
      build: ([x]) => broadcastTo(x as Tensor, large),
    })),
  );
  itHolds(
    'sumTo',
    smallAndLarge.map(({ small, large }) => ({ shapes: [large], build: ([x]) => sumTo(x as Tensor, small) })),
  );
  itHolds(
    'the sum over any axes',
    shapes(1, 4).chain((shape) =>
      fc
        .subarray(shape.map((_, i) => i))
        .map((axes): GraphCase => ({ shapes: [shape], build: ([x]) => sum(x as Tensor, axes) })),
    ),
    { runs: 12 },
  );
  itHolds(
    'the sum over everything, axes kept',
    shapes(1, 4).map((shape) => ({ shapes: [shape], build: ([x]) => sum(x as Tensor) })),
  );
  itHolds(
    'total',
    shapes().map((shape) => ({ shapes: [shape], build: ([x]) => total(x as Tensor) })),
  );

  it('keeps summed axes with extent 1, and total gives a scalar', () => {
    const x = input('x', [2, 3, 4]);
    expect(sum(x, [2, 0]).shape).toEqual([1, 3, 1]);
    expect(sum(x).shape).toEqual([1, 1, 1]);
    expect(total(x).shape).toEqual([]);
    expect(sumTo(x, [3, 1]).shape).toEqual([3, 1]);
  });
});
