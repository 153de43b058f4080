import onnxProto from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import { distance, expectRuntimeAgrees, runProgram, separated } from '../testing/operator-check.js';
import {
  add,
  constant,
  encodeProgram,
  evaluate,
  exp,
  gatherRows,
  gemm,
  gradient,
  input,
  mul,
  relu,
  reshape,
  slice,
  stopGradient,
  type Tensor,
  tanh,
  total,
} from './index.js';

/**
 * How often each ONNX operator occurs in the model of these outputs; the Identity that names each output left
 * out.
 */
function operators(outputs: Record<string, Tensor>): Record<string, number> {
  const { graph } = onnxProto.onnx.ModelProto.decode(encodeProgram(outputs).bytes);
  const counts: Record<string, number> = {};
  for (const { opType } of graph?.node ?? [])
    if (opType !== 'Identity') counts[opType as string] = (counts[opType as string] ?? 0) + 1;
  return counts;
}
const graphOf = (outputs: Record<string, Tensor>) =>
  onnxProto.onnx.ModelProto.decode(encodeProgram(outputs).bytes).graph;

describe('encoded programs', () => {
  const x = input('x', [4, 2], 'float64');
  const feeds = { x: separated(8, 1), w: separated(12, 2) };

  it('compute equal subexpressions once, across outputs too', () => {
    const twice = () => tanh(mul(x, constant([1, 2], [2], 'float64')));
    expect(operators({ a: exp(twice()), b: relu(twice()), c: exp(twice()) })).toEqual({
      Mul: 1,
      Tanh: 1,
      Exp: 1,
      Relu: 1,
    });
    expect(graphOf({ a: exp(twice()), b: relu(twice()) })?.initializer).toHaveLength(1);
  });

  it('keep apart what differs in an attribute, a type or one value of a constant only', () => {
    expect(operators({ a: exp(slice(x, 0, 0, 2)), b: exp(slice(x, 0, 1, 3)) })).toEqual({ Slice: 2, Exp: 2 });
    expect(
      operators({ a: mul(x, constant([1, 2], [2], 'float64')), b: mul(x, constant([1, 3], [2], 'float64')) }),
    ).toEqual({ Mul: 2 });
    expect(
      operators({ a: gatherRows(x, Int32Array.of(0, 1)), b: gatherRows(x, Int32Array.of(1, 0)) }),
    ).toEqual({ Gather: 2 });
    expect(
      operators({ a: gatherRows(x, Int32Array.of(0, 1)), b: gatherRows(x, Int32Array.of(0, 1)) }),
    ).toEqual({ Gather: 1 });
  });

  it('hold neither nodes nor inputs that no output needs, nor a node for stopGradient', () => {
    const unused = exp(input('unused', [3], 'float64'));
    total(unused);
    const program = encodeProgram({ y: relu(stopGradient(x)) });
    expect(program.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(operators({ y: relu(stopGradient(x)) })).toEqual({ Relu: 1 });
  });

  it('differentiate without leaving forward nodes behind that the gradient does not need', () => {
    const [dx] = gradient(total(mul(x, 3)), [x]);
    expect(encodeProgram({ dx: dx as Tensor }).inputs).toEqual([]);
  });

  it('make the zero row of a selection in the left factor of the product it selects from, once for all selections, with the same values', async () => {
    const w = input('w', [6, 2], 'float64');
    const source = reshape(gemm(w, x, false, true), [12, 2]);
    const chosen = {
      a: gatherRows(source, Int32Array.of(3, -1, 0)),
      b: gatherRows(source, Int32Array.of(-1, 11, 11, 4)),
    };
    expect(operators(chosen)).toEqual({ Concat: 1, Gemm: 1, Reshape: 1, Gather: 2 });
    await expectRuntimeAgrees(Object.values(chosen), feeds, 1e-14);
    // Behind an addend the padded row would not be zero: the rows of zeros must come after it.
    await expectRuntimeAgrees([gatherRows(add(source, 1), Int32Array.of(-1, 2))], feeds, 1e-14);
    // The source itself may be wanted too, and selections may follow one another.
    const chain = gatherRows(gatherRows(source, Int32Array.of(-1, 5, 5)), Int32Array.of(2, -1, 0));
    await expectRuntimeAgrees([source, chain, gatherRows(source, Int32Array.of(5, 6))], feeds, 1e-14);
  });

  it('may give an input, a constant or one value under two names', async () => {
    const outputs = { same: x, again: x, fixed: constant([1, 2], [2], 'float64') };
    const made = await runProgram(outputs, feeds);
    for (const [name, output] of Object.entries(outputs))
      expect(distance(made[name] as Float64Array, evaluate([output], feeds)[0] as Float64Array)).toBe(0);
  });
});
