import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  distance,
  expectDerivatives,
  expectRuntimeAgrees,
  separated,
  weighted,
} from '../testing/operator-check.js';
import {
  abs,
  add,
  broadcastTo,
  concat,
  div,
  evaluate,
  type FloatType,
  gatherRows,
  gemm,
  gradient,
  input,
  log,
  logSumExp,
  maximum,
  minimum,
  mul,
  neg,
  pad,
  reduceMax,
  relu,
  reshape,
  sigmoid,
  sizeOf,
  slice,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tanh,
  topologicalOrder,
  total,
  transpose,
  vectorJacobian,
} from './index.js';

/** One step of a random graph: an operator and what chooses its operands and attributes. */
type Step = readonly [operator: number, first: number, second: number, choice: number];
const steps = fc.array(fc.tuple(fc.nat(21), fc.nat(), fc.nat(), fc.nat(1000)), {
  minLength: 10,
  maxLength: 30,
});
const LARGEST = 40;

/**
 * Applies a step to matrices of the pool. Growth is damped, so that thirty steps stay within what float32 and
 * finite differences can tell.
 */
function takeStep(pool: readonly Tensor[], [operator, first, second, choice]: Step): Tensor {
  const a = pool[first % pool.length] as Tensor;
  const other = pool[second % pool.length] as Tensor;
  const [rows, columns] = a.shape as [number, number];
  // An operand that fits element by element: the whole of another tensor, its one row or its one column.
  const fitted = (): Tensor => {
    if (other.shape[0] === rows && other.shape[1] === columns) return other;
    if (other.shape[1] === columns) return slice(other, 0, 0, 1);
    return other.shape[0] === rows ? slice(other, 1, 0, 1) : slice(slice(other, 0, 0, 1), 1, 0, 1);
  };
  const axis = choice % 2;
  const extent = a.shape[axis] as number;
  const operations: (() => Tensor)[] = [
    () => add(a, fitted()),
    () => sub(fitted(), a),
    () => mul(a, tanh(fitted())),
    () => div(a, add(square(fitted()), 1)),
    () => maximum(a, fitted()),
    () => minimum(a, fitted()),
    () => relu(a),
    () => abs(a),
    () => neg(a),
    () => square(tanh(a)),
    () => sigmoid(a),
    () => log(add(abs(a), 0.5)),
    () => sqrt(add(square(a), 0.3)),
    () => transpose(a),
    () => reshape(a, [sizeOf(a.shape) / (choice % 2 ? rows : columns), choice % 2 ? rows : columns]),
    () =>
      slice(a, axis, choice % extent, (choice % extent) + 1 + ((choice >> 4) % (extent - (choice % extent)))),
    () => (sizeOf(a.shape) > LARGEST ? a : pad(a, axis, choice % 3, (choice >> 3) % 2)),
    () =>
      concat(
        [fitted(), a].slice(sizeOf(a.shape) > LARGEST ? 1 : 0).map((t) => broadcastTo(t, a.shape)),
        axis,
      ),
    () =>
      gatherRows(
        a,
        Int32Array.from({ length: 1 + (choice % 4) }, (_, i) => ((choice >> (i + 1)) % (rows + 1)) - 1),
      ),
    () => (rows * rows > LARGEST ? a : mul(gemm(a, tanh(a), false, true), 0.3)),
    () => sum(a, [axis]),
    () => (choice % 4 ? logSumExp(a, [axis]) : reduceMax(a, [axis])),
  ];
  return (operations[operator] as () => Tensor)();
}

function randomGraph(list: readonly Step[], dtype: FloatType): { inputs: Tensor[]; outputs: Tensor[] } {
  const inputs = [input('x', [3, 4], dtype), input('y', [4, 1], dtype), input('z', [2, 4], dtype)];
  const pool: Tensor[] = [...inputs];
  for (const step of list) pool.push(takeStep(pool, step));
  return { inputs, outputs: pool.slice(-4) };
}
const feeds = (seed: number) => ({
  x: separated(12, seed),
  y: separated(4, seed + 1),
  z: separated(8, seed + 2),
});

/**
 * Whether every kink of the graph is farther from its operand than a difference quotient reaches, or exactly
 * met (zeros of pad and relu).
 */
function awayFromKinks(outputs: readonly Tensor[], values: Record<string, Float64Array>): boolean {
  const close = (distances: Float64Array) => distances.some((d) => d !== 0 && Math.abs(d) < 1e-3);
  return topologicalOrder(outputs).every((node) => {
    const [a, b] = node.inputs as [Tensor, Tensor];
    const kind = node.operator.name;
    if (kind === 'Relu' || kind === 'Abs') return !close(evaluate([a], values)[0] as Float64Array);
    if (kind === 'Max' || kind === 'Min') return !close(evaluate([sub(a, b)], values)[0] as Float64Array);
    if (kind !== 'ReduceMax') return true;
    // A maximum that two entries share has no derivative.
    const below = evaluate([sub(node, a)], values)[0] as Float64Array;
    return below.filter((d) => d < 1e-3).length === sizeOf(node.shape);
  });
}

describe('reverse-mode differentiation', () => {
  it('of random graphs equals central differences, and ONNX Runtime gives their values and gradients', async () => {
    let checked = 0;
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(1e6), async (list, seed) => {
        const values = feeds(seed);
        const { inputs, outputs } = randomGraph(list, 'float64');
        fc.pre(awayFromKinks(outputs, values));
        const loss = outputs.map((y) => weighted(tanh(y))).reduce((a, b) => add(a, b));
        checked++;
        expectDerivatives(loss, inputs, values, 1e-6);
        await expectRuntimeAgrees([...outputs, ...gradient(loss, inputs)], values, 1e-11);
        await expectRuntimeAgrees(randomGraph(list, 'float32').outputs, values, 1e-4);
      }),
      { numRuns: 25 },
    );
    expect(checked).toBeGreaterThanOrEqual(25);
  });

  it('gives zeros for inputs that nothing depends on, and gradients of intermediate tensors', () => {
    const [x, y] = [input('x', [3], 'float64'), input('y', [2, 2], 'float64')];
    const middle = square(x);
    const [dx, dy, dm] = gradient(total(mul(middle, x)), [x, y, middle]) as [Tensor, Tensor, Tensor];
    expect(evaluate([dx, dy, dm], { x: [1, 2, 3], y: [1, 1, 1, 1] }).map((g) => [...g])).toEqual([
      [3, 12, 27],
      [0, 0, 0, 0],
      [1, 2, 3],
    ]);
  });

  it('vectorJacobian is linear in its cotangents and sums over outputs', () => {
    fc.assert(
      fc.property(fc.nat(1e6), (seed) => {
        const x = input('x', [3, 4], 'float64');
        const outputs = [tanh(x), sum(square(x), [0])];
        const [c, d] = [input('c', [3, 4], 'float64'), input('d', [1, 4], 'float64')];
        const both = vectorJacobian(outputs, [c, d], [x])[0] as Tensor;
        const alone = outputs
          .map((y, k) => vectorJacobian([y], [[c, d][k] as Tensor], [x])[0] as Tensor)
          .reduce((a, b) => add(a, b));
        const [g, h] = evaluate([both, alone], {
          x: separated(12, seed),
          c: separated(12, seed + 1),
          d: separated(4, seed + 2),
        }) as [Float64Array, Float64Array];
        expect(distance(g, h)).toBeLessThan(1e-12);
      }),
      { numRuns: 20 },
    );
  });

  it('of a gradient gives the Hessian: of Σ tanh(Ax)² it equals central differences of the gradient', () => {
    const [a, x] = [input('a', [3, 4], 'float64'), input('x', [4, 2], 'float64')];
    const [dx] = gradient(total(square(tanh(gemm(a, x)))), [x]);
    expectDerivatives(weighted(dx as Tensor), [a, x], {
      a: separated(12, 4).map((v) => v / 2),
      x: separated(8, 5),
    });
  });
});
