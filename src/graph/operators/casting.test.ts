import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GraphCase, itHolds, shapes } from '../../testing/operator-check.js';
import { sizeOf } from '../tensor.js';
import { mul } from './arithmetic.js';
import { toFloat } from './casting.js';
import { input } from './leaves.js';

describe('integers as floats', () => {
  itHolds(
    'toFloat, constant to the derivative',
    shapes(1, 3).chain((shape) =>
      fc
        .array(fc.integer({ min: -9, max: 9 }), { minLength: sizeOf(shape), maxLength: sizeOf(shape) })
        .map((n): GraphCase => ({ shapes: [shape], indices: { n }, build: ([x], dtype) => mul(toFloat(input('n', shape, 'int32'), dtype), x as never) })),
    ),
  );

  it('refuses floats', () => {
    expect(() => toFloat(input('x', [2]))).toThrow(/Cast: expected int32 values, got \[2\] float32/);
  });
});
