import { describe, expect, it } from 'vitest';
import {
  add,
  addAll,
  batchedMatmul,
  broadcastTo,
  concat,
  constant,
  encodeProgram,
  equalRows,
  evaluate,
  exp,
  GraphError,
  gatherRows,
  gemm,
  gemmAdd,
  gradient,
  greater,
  input,
  maximum,
  pad,
  reduceMax,
  reshape,
  scatterAddRows,
  scatterRows,
  slice,
  sum,
  sumTo,
  takeRows,
  transpose,
  vectorJacobian,
  where,
} from './index.js';

const x = input('x', [2, 3]);
const double = input('double', [2, 3], 'float64');
const cube = input('cube', [2, 3, 4]);
const index = input('index', [5], 'int32');
const scalar = input('scalar', []);

/** A wrong call, the operator that its error names, and what the error shows of what came. */
const wrong: [string, () => unknown, string, string][] = [
  ['add of shapes that do not broadcast', () => add(x, input('y', [2])), 'Add', '[2,3] float32, [2] float32'],
  ['add of two types', () => add(x, double), 'Add', '[2,3] float32, [2,3] float64'],
  ['addAll of two shapes', () => addAll([x, x, scalar]), 'Sum', '[2,3] float32, [2,3] float32, [] float32'],
  ['maximum of two types', () => maximum(x, double), 'Max', '[2,3] float32, [2,3] float64'],
  ['greater of two types', () => greater(x, double), 'Greater', '[2,3] float32, [2,3] float64'],
  ['where without booleans', () => where(x, x, x), 'Where', '[2,3] float32, [2,3] float32, [2,3] float32'],
  ['broadcastTo a smaller shape', () => broadcastTo(x, [3]), 'Expand', '[2,3] float32'],
  ['broadcastTo another extent', () => broadcastTo(x, [4, 3]), 'Expand', '[2,3] float32'],
  ['sumTo a shape that does not broadcast', () => sumTo(x, [4]), 'Reshape', '[1,3] float32'],
  ['sum over an axis beyond the rank', () => sum(x, [2]), 'ReduceSum', '[2,3] float32'],
  ['reduceMax over a negative axis', () => reduceMax(x, [-1]), 'ReduceMax', '[2,3] float32'],
  ['gemm of matrices that do not fit', () => gemm(x, x), 'Gemm', '[2,3] float32, [2,3] float32'],
  ['gemm of a stack', () => gemm(x, cube), 'Gemm', '[2,3] float32, [2,3,4] float32'],
  ['gemm of two types', () => gemm(x, double, false, true), 'Gemm', '[2,3] float32, [2,3] float64'],
  [
    'gemmAdd of a wrong addend',
    () => gemmAdd(x, input('y', [3, 4]), x),
    'Gemm',
    '[2,3] float32, [3,4] float32, [2,3] float32',
  ],
  ['batchedMatmul of matrices', () => batchedMatmul(x, x), 'MatMul', '[2,3] float32, [2,3] float32'],
  ['gatherRows beyond the source', () => gatherRows(x, Int32Array.of(0, 2)), 'GatherRows', '[2,3] float32'],
  ['gatherRows of a scalar', () => gatherRows(scalar, Int32Array.of(0)), 'GatherRows', '[] float32'],
  [
    'scatterRows of too few rows',
    () => scatterRows(x, Int32Array.of(0, 1, 1), 2),
    'ScatterRows',
    '[2,3] float32',
  ],
  ['takeRows by floats', () => takeRows(x, input('rows', [2])), 'TakeRows', '[2,3] float32, [2] float32'],
  ['takeRows of a scalar', () => takeRows(scalar, index), 'TakeRows', '[] float32, [5] int32'],
  [
    'scatterAddRows with too few indices',
    () => scatterAddRows(cube, index, 70),
    'ScatterAddRows',
    '[2,3,4] float32, [5] int32',
  ],
  ['equalRows of floats', () => equalRows(scalar, 3, 'float32'), 'OneHotRows', '[] float32'],
  ['reshape to another size', () => reshape(x, [7]), 'Reshape', '[2,3] float32'],
  ['transpose of a stack as a matrix', () => transpose(cube), 'Transpose', '[2,3,4] float32'],
  ['transpose with an axis twice', () => transpose(x, [0, 0]), 'Transpose', '[2,3] float32'],
  ['slice beyond the end', () => slice(x, 1, 1, 4), 'Slice', '[2,3] float32'],
  ['an empty slice', () => slice(x, 1, 1, 1), 'Slice', '[2,3] float32'],
  ['concat of other extents', () => concat([x, cube], 0), 'Concat', '[2,3] float32, [2,3,4] float32'],
  ['concat along a negative axis', () => concat([x, x], -1), 'Concat', '[2,3] float32, [2,3] float32'],
  ['pad along an axis beyond the rank', () => pad(x, 2, 1, 0), 'Pad', '[2,3] float32'],
  ['pad along a negative axis', () => pad(x, -1, 1, 0), 'Pad', '[2,3] float32'],
  ['pad by less than nothing', () => pad(x, 0, -1, 0), 'Pad', '[2,3] float32'],
  ['exp of integers', () => exp(index), 'Exp', '[5] int32'],
  ['gradient of a vector', () => gradient(x, [x]), 'gradient', '[2,3] float32'],
  [
    'a cotangent of another shape',
    () => vectorJacobian([x], [scalar], [x]),
    'gradient',
    '[2,3] float32, [] float32',
  ],
];

describe('a graph that cannot be built', () => {
  it.each(wrong)(
    '%s is refused in one line that names the operator and what came',
    (_, build, operator, came) => {
      let message = '';
      try {
        build();
      } catch (error) {
        expect(error).toBeInstanceOf(GraphError);
        message = (error as Error).message;
      }
      expect(message).toMatch(new RegExp(`^${operator}: expected .+, got `));
      expect(message.endsWith(`got ${came}`)).toBe(true);
      expect(message).not.toContain('\n');
    },
  );

  it('a constant holds as many values as its shape', () => {
    expect(() => constant([1, 2, 3], [2])).toThrow('Constant: expected 2 values for shape [2], got 3');
  });

  it('two different inputs of one name are refused when encoded, equal ones are one input', () => {
    expect(() => encodeProgram({ y: add(input('a', [3]), input('a', [1])) })).toThrow(
      /two different inputs are named a: \[3\] float32 and \[1\] float32/,
    );
    expect(() => encodeProgram({ y: input('a', [3]), z: input('a', [3], 'float64') })).toThrow(GraphError);
    expect(encodeProgram({ y: add(input('a', [3]), input('a', [3])) }).inputs).toEqual([
      { name: 'a', shape: [3], dtype: 'float32' },
    ]);
  });

  it('an output may not have the name of an input', () => {
    expect(() => encodeProgram({ x: exp(x) })).toThrow(
      'encode: an output and an input are both named x; rename one',
    );
  });

  it('the reference evaluator says which value is missing or of another size', () => {
    expect(() => evaluate([x], {})).toThrow('evaluate: input x expects 6 values, got none');
    expect(() => evaluate([x], { x: [1] })).toThrow('evaluate: input x expects 6 values, got 1');
  });
});
