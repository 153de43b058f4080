import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  expectDerivatives,
  expectRuntimeAgrees,
  type GraphCase,
  itHolds,
  separated,
  shapes,
} from '../../testing/operator-check.js';
import { evaluate } from '../evaluate.js';
import { gradient } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { mul } from './arithmetic.js';
import { total } from './broadcasting.js';
import { square } from './comparison.js';
import {
  accumulate,
  equalRows,
  gatherRows,
  invertTable,
  range,
  scatterAddRows,
  scatterRows,
  takeRows,
} from './indexing.js';
import { reshape } from './layout.js';
import { constant, input } from './leaves.js';
import { gemm } from './matrix.js';
import { exp } from './transcendental.js';

const rowsBetween = (min: number, rows: number) =>
  fc.array(fc.integer({ min, max: rows - 1 }), { minLength: 1, maxLength: 6 });
const indexInput = (count: number) => input('rows', [count], 'int32');
const table = (rows: readonly number[]) => Int32Array.from(rows);

describe('selection of rows', () => {
  itHolds(
    'gatherRows, with repeated rows and rows of zeros',
    shapes(1, 3).chain((shape) =>
      rowsBetween(-1, shape[0] as number).map(
        (rows): GraphCase => ({ shapes: [shape], build: ([x]) => gatherRows(x as Tensor, table(rows)) }),
      ),
    ),
    { runs: 12 },
  );
  itHolds(
    'gatherRows of a product, whose zero row is made in the product',
    fc
      .tuple(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
      )
      .chain(([m, k, perRow, transA]) =>
        rowsBetween(-1, m * perRow).map(
          (rows): GraphCase => ({
            shapes: [transA ? [k, m] : [m, k], [k, perRow * 2]],
            build: ([a, b]) =>
              gatherRows(
                reshape(gemm(a as Tensor, b as Tensor, transA), [m * perRow, 2]),
                table([-1, ...rows]),
              ),
          }),
        ),
      ),
    { runs: 12 },
  );
  itHolds(
    'scatterRows, with rows left out and rows that nothing reaches',
    fc.tuple(shapes(0, 2), rowsBetween(-1, 4)).map(
      ([rest, rows]): GraphCase => ({
        shapes: [[rows.length, ...rest]],
        build: ([x]) => scatterRows(x as Tensor, table(rows), 5),
      }),
    ),
    { runs: 12 },
  );
  itHolds(
    'takeRows by indices given at run time',
    shapes(1, 3).chain((shape) =>
      rowsBetween(0, shape[0] as number).map(
        (rows): GraphCase => ({
          shapes: [shape],
          indices: { rows },
          build: ([x]) => takeRows(x as Tensor, indexInput(rows.length)),
        }),
      ),
    ),
  );
  for (const [how, count] of [
    ['as a product with a one-hot matrix', 3],
    ['as a scatter', 65],
  ] as const) {
    itHolds(
      `scatterAddRows ${how}`,
      fc.tuple(shapes(0, 2), rowsBetween(0, count)).map(
        ([rest, rows]): GraphCase => ({
          shapes: [[rows.length, ...rest]],
          indices: { rows },
          build: ([x]) => scatterAddRows(x as Tensor, indexInput(rows.length), count),
        }),
      ),
    );
  }
  itHolds(
    'equalRows, constant in all but its indices',
    rowsBetween(0, 4).map(
      (rows): GraphCase => ({
        shapes: [[4, rows.length]],
        indices: { rows },
        build: ([x], dtype) => mul(x as Tensor, equalRows(indexInput(rows.length), 4, dtype)),
      }),
    ),
  );

  it('scatterAddRows is the adjoint of takeRows: ⟨take(x), y⟩ = ⟨x, scatter(y)⟩', () => {
    fc.assert(
      fc.property(rowsBetween(0, 5), fc.constantFrom(5, 70), fc.nat(), (rows, count, seed) => {
        const [x, y, index] = [
          input('x', [count, 2], 'float64'),
          input('y', [rows.length, 2], 'float64'),
          indexInput(rows.length),
        ];
        const feeds = { x: separated(2 * count, seed), y: separated(2 * rows.length, seed + 1), rows };
        const [left, right] = evaluate(
          [total(mul(takeRows(x, index), y)), total(mul(x, scatterAddRows(y, index, count)))],
          feeds,
        ) as [Float64Array, Float64Array];
        expect(left[0]).toBeCloseTo(right[0] as number, 9);
      }),
    );
  });

  it('accumulate adds what is scattered to any base, whatever that was made of, and skips sums with zeros', () => {
    const [x, index] = [input('x', [2, 1], 'float64'), indexInput(2)];
    const zero = constant(new Float64Array(3), [3, 1], 'float64');
    const scattered = scatterAddRows(x, index, 3);
    const sum = accumulate(zero, scattered);
    expect(sum.inputs[0]).toBe(zero);
    for (const base of [zero, exp(zero), input('base', [3, 1], 'float64')]) {
      const [got] = evaluate(
        [accumulate(constant([10, 20, 30], [3, 1], 'float64'), accumulate(base, scattered))],
        {
          x: [1, 2],
          rows: [2, 2],
          base: [4, 5, 6],
        },
      );
      const own = base === zero ? [0, 0, 0] : base.inputs.length === 1 ? [1, 1, 1] : [4, 5, 6];
      expect([...(got as Float64Array)]).toEqual([
        10 + (own[0] as number),
        20 + (own[1] as number),
        33 + (own[2] as number),
      ]);
    }
  });

  it('inverted tables name every place that selected a row, once', () => {
    fc.assert(
      fc.property(rowsBetween(-1, 5), (rows) => {
        const places = invertTable(table(rows), 5).flatMap((inverse) =>
          [...inverse].flatMap((place, row) => (place < 0 ? [] : [[place, row]])),
        );
        expect(places.sort(([a], [b]) => (a as number) - (b as number))).toEqual(
          rows.flatMap((row, place) => (row < 0 ? [] : [[place, row]])),
        );
      }),
    );
  });

  it('range counts from zero', () => {
    expect([...(evaluate([range(4)], {})[0] as Float64Array)]).toEqual([0, 1, 2, 3]);
  });

  it('has second derivatives: the gradient of a convolution by gathered rows can be differentiated again', async () => {
    // One channel of 4 places, a window of 3 with a zero on either side, two output channels, batch 2.
    const places = table([-1, 0, 1, 2, 0, 1, 2, 3, 1, 2, 3, -1]);
    for (const dtype of ['float64', 'float32'] as const) {
      const [x, w] = [input('x', [4, 2], dtype), input('w', [2, 3], dtype)];
      const convolved = gemm(w, reshape(gatherRows(x, places), [3, 8]));
      const [dx, dw] = gradient(total(mul(square(convolved), convolved)), [x, w]) as [Tensor, Tensor];
      const along = (g: Tensor, seed: number) =>
        total(mul(g, constant(separated(8 - 2 * seed, seed), g.shape, dtype)));
      const feeds = { x: separated(8, 5), w: separated(6, 6) };
      for (const scalar of [along(dx, 0), along(dw, 1)]) {
        if (dtype === 'float64') expectDerivatives(scalar, [x, w], feeds);
        await expectRuntimeAgrees(
          [scalar, ...gradient(scalar, [x, w])],
          feeds,
          dtype === 'float64' ? 1e-13 : 3e-6,
        );
      }
    }
  });
});
