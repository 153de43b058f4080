import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GraphCase, itHolds } from '../../testing/operator-check.js';
import type { Shape, Tensor } from '../tensor.js';
import { transpose } from './layout.js';
import { input } from './leaves.js';
import { batchedMatmul, gemm, gemmAdd } from './matrix.js';

const extent = fc.integer({ min: 1, max: 4 });
const sizes = fc.tuple(extent, extent, extent);
const ordered = (rows: number, columns: number, swapped: boolean): Shape =>
  swapped ? [columns, rows] : [rows, columns];

describe('matrix products', () => {
  for (const [transA, transB] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const) {
    itHolds(
      `gemm ${transA ? 'Aᵀ' : 'A'}·${transB ? 'Bᵀ' : 'B'}`,
      sizes.map(([m, k, n]) => ({
        shapes: [ordered(m, k, transA), ordered(k, n, transB)],
        build: ([a, b]) => gemm(a as Tensor, b as Tensor, transA, transB),
      })),
    );
  }
  itHolds(
    'gemm of a matrix with itself',
    fc
      .tuple(extent, extent)
      .map(([m, k]) => ({ shapes: [[m, k]], build: ([a]) => gemm(a as Tensor, a as Tensor, false, true) })),
  );
  itHolds(
    'gemmAdd with an addend broadcast from rows, columns or one number',
    fc.tuple(sizes, fc.boolean(), fc.boolean()).map(
      ([[m, k, n], row, column]): GraphCase => ({
        shapes: [
          [m, k],
          [k, n],
          [row ? 1 : m, column ? 1 : n],
        ],
        build: ([a, b, c]) => gemmAdd(a as Tensor, b as Tensor, c as Tensor),
      }),
    ),
    { runs: 10 },
  );
  itHolds(
    'batchedMatmul',
    fc.tuple(fc.integer({ min: 1, max: 3 }), sizes).map(([s, [m, k, n]]) => ({
      shapes: [
        [s, m, k],
        [s, k, n],
      ],
      build: ([a, b]) => batchedMatmul(a as Tensor, b as Tensor),
    })),
  );

  it('takes a transposed matrix without a copy', () => {
    const [a, b] = [input('a', [2, 3]), input('b', [2, 3])];
    expect(gemm(transpose(a), b).inputs).toEqual([a, b]);
    expect(gemm(a, transpose(b)).inputs).toEqual([a, b]);
    expect(gemm(transpose(a), b).shape).toEqual([3, 3]);
    expect(gemm(transpose(transpose(a)), b, true).shape).toEqual([3, 3]);
  });
});
