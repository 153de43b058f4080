import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GraphCase, itHolds, shapes } from '../../testing/operator-check.js';
import { sizeOf, type Tensor } from '../tensor.js';
import { concat, pad, reshape, slice, transpose } from './layout.js';
import { input } from './leaves.js';

const small = fc.integer({ min: 0, max: 2 });
const axisOf = (shape: readonly number[]) => fc.nat(shape.length - 1);

describe('layout', () => {
  itHolds(
    'reshape, to its axes reversed, to a vector, to ones around it',
    fc.tuple(shapes(0, 4), fc.nat(2)).map(([shape, kind]) => ({
      shapes: [shape],
      build: ([x]) =>
        reshape(x as Tensor, [[...shape].reverse(), [sizeOf(shape)], [1, ...shape, 1]][kind] as number[]),
    })),
  );
  itHolds(
    'transpose by any order',
    shapes(1, 4).chain((shape) => {
      const axes = shape.map((_, i) => i);
      return fc
        .shuffledSubarray(axes, { minLength: shape.length })
        .map((order): GraphCase => ({ shapes: [shape], build: ([x]) => transpose(x as Tensor, order) }));
    }),
    { runs: 10 },
  );
  itHolds(
    'slice',
    shapes(1, 4).chain((shape) =>
      fc.tuple(axisOf(shape), fc.nat(), fc.nat()).map(([axis, a, b]): GraphCase => {
        const extent = shape[axis] as number;
        const start = a % extent;
        return {
          shapes: [shape],
          build: ([x]) => slice(x as Tensor, axis, start, start + 1 + (b % (extent - start))),
        };
      }),
    ),
  );
  itHolds(
    'concat',
    shapes(1, 3).chain((shape) =>
      fc.tuple(axisOf(shape), fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 })).map(
        ([axis, extents]): GraphCase => ({
          shapes: extents.map((extent) => shape.map((e, i) => (i === axis ? extent : e))),
          build: (inputs) => concat([...inputs, inputs[0] as Tensor], axis),
        }),
      ),
    ),
  );
  itHolds(
    'pad',
    shapes(1, 4).chain((shape) =>
      fc.tuple(axisOf(shape), small, small).map(
        ([axis, before, after]): GraphCase => ({
          shapes: [shape],
          build: ([x]) => pad(x as Tensor, axis, before, after),
        }),
      ),
    ),
  );

  it('makes no node that would change nothing, and one reshape of two', () => {
    const x = input('x', [2, 3]);
    expect(
      [
        reshape(x, [2, 3]),
        transpose(x, [0, 1]),
        slice(x, 1, 0, 3),
        concat([x], 0),
        pad(x, 0, 0, 0),
        reshape(reshape(x, [6]), [2, 3]),
      ].every((y) => y === x),
    ).toBe(true);
    expect(reshape(reshape(x, [6]), [3, 2]).inputs).toEqual([x]);
  });
});
