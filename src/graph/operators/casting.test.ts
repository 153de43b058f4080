import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GraphCase, itHolds, shapes } from '../../testing/operator-check.js';
import { sizeOf } from '../tensor.js';
import { mul } from './arithmetic.js';
import { toFloat, toInt } from './casting.js';
import { input } from './leaves.js';

describe('integers as floats and floats as integers', () => {
  itHolds(
    'toFloat, constant to the derivative',
    shapes(1, 3).chain((shape) =>
      fc.array(fc.integer({ min: -9, max: 9 }), { minLength: sizeOf(shape), maxLength: sizeOf(shape) }).map(
        (n): GraphCase => ({
          shapes: [shape],
          indices: { n },
          build: ([x], dtype) => mul(toFloat(input('n', shape, 'int32'), dtype), x as never),
        }),
      ),
    ),
  );

  itHolds(
    'toInt, which drops the fraction, constant to the derivative',
    shapes(1, 3).map(
      (shape): GraphCase => ({
        shapes: [shape],
        build: ([x], dtype) => mul(toFloat(toInt(mul(x as never, 1.7)), dtype), x as never),
      }),
    ),
  );

  it('refuses what is no integer, or none to be made of', () => {
    expect(() => toFloat(input('x', [2]))).toThrow(/Cast: expected int32 values, got \[2\] float32/);
    expect(() => toInt(input('n', [2], 'int32'))).toThrow(/Cast: expected floats, got \[2\] int32/);
  });
});
