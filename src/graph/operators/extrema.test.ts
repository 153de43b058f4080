import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GraphCase, itHolds, shapes } from '../../testing/operator-check.js';
import type { Tensor } from '../tensor.js';
import { reduceMax } from './extrema.js';
import { input } from './leaves.js';

describe('the maximum over axes', () => {
  itHolds(
    'reduceMax',
    shapes(1, 4).chain((shape) =>
      fc
        .subarray(
          shape.map((_, i) => i),
          { minLength: 1 },
        )
        .map((axes): GraphCase => ({ shapes: [shape], build: ([x]) => reduceMax(x as Tensor, axes) })),
    ),
    { runs: 12 },
  );

  it('keeps the axes with extent 1', () => {
    expect(reduceMax(input('x', [2, 3, 4]), [0, 2]).shape).toEqual([1, 3, 1]);
  });
});
