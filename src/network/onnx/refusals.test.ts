import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import onnxProto from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../formats/format-error.js';
import { encodeOnnx } from '../../formats/onnx.js';
import { type Built, batchNorm, integers, model, norm, op, random } from '../../testing/onnx-models.js';
import { importOnnx } from './import.js';

const { onnx } = onnxProto;
const image = ['N', 2, 6, 5] as const;
const conv = random('cw', [3, 2, 3, 2]);
const dense = (rows: number, columns: number) => random('w', [rows, columns]);

describe('what cannot be certified is refused in one line', () => {
  const linear = {
    input: ['N', 7],
    nodes: [op('Gemm', ['x', 'w'], 'y')],
    constants: [dense(7, 4)],
  } satisfies Built;
  const refusals: Record<string, [Built, RegExp]> = {
    'an unknown operator': [
      { ...linear, nodes: [op('Softmax', ['x'], 'y')] },
      /Softmax \(node the y\): this operator is not supported/,
    ],
    'an operator of another domain': [
      { ...linear, nodes: [{ ...op('Gemm', ['x', 'w'], 'y'), domain: 'com.example' }] },
      /Gemm \(node the y\)/,
    ],
    'an unknown attribute': [
      { ...linear, nodes: [op('Relu', ['x'], 'y', { slope: { float: 1 } })] },
      /expected attributes none, got slope/,
    ],
    'a cycle': [
      { ...linear, nodes: [op('Add', ['x', 'b'], 'a'), op('Relu', ['a'], 'b'), op('Relu', ['b'], 'y')] },
      /without cycles/,
    ],
    'a value that nothing makes': [
      { ...linear, nodes: [op('Relu', ['z'], 'y')] },
      /reads z, which nothing in the graph makes/,
    ],
    'a value made twice': [
      { ...linear, nodes: [op('Relu', ['x'], 'y'), op('Relu', ['x'], 'y')] },
      /expected a new name/,
    ],
    'two inputs': [
      {
        ...linear,
        changes: { inputs: ['x', 'z'].map((name) => ({ name, type: 'FLOAT', shape: ['N', 7] })) },
      },
      /expected one input, got 2: x, z/,
    ],
    'no output': [{ ...linear, changes: { outputs: [] } }, /expected one output, got 0/],
    'symbolic pixels': [
      { ...linear, input: ['N', 'features'] },
      /fixed extents of one image, got \[N,features\]/,
    ],
    'an integer input': [
      { ...linear, changes: { inputs: [{ name: 'x', type: 'INT64', shape: ['N', 7] }] } },
      /float32 or float64, got INT64/,
    ],
    'no layer at all': [{ ...linear, nodes: [op('Identity', ['x'], 'y')] }, /made by a layer/],
    'a constant output': [
      { ...linear, nodes: [op('Identity', ['w'], 'y')] },
      /depend on the input, got a constant/,
    ],
    'another opset': [{ ...linear, opset: 6 }, /expected opset 7 to 22, got 6/],
    'a matrix that does not fit': [
      { ...linear, constants: [dense(8, 4)] },
      /as many inputs, got x \[batch,7\], matrix \[8,4\]/,
    ],
    'a product of activations': [
      { ...linear, nodes: [op('Mul', ['x', 'x'], 'y')] },
      /Mul \(node the y\): expected a constant operand/,
    ],
    'a constant divided by the input': [
      { ...linear, nodes: [op('Div', ['w', 'x'], 'y')], constants: [random('w', [7])] },
      /not affine/,
    ],
    'a constant that differs from image to image': [
      { ...linear, nodes: [op('Add', ['x', 'w'], 'y')], constants: [random('w', [2, 7])] },
      /the same for all images of a batch, got \[2,7\] beside \[batch,7\]/,
    ],
    'a constant that does not fit': [
      { ...linear, nodes: [op('Add', ['x', 'w'], 'y')], constants: [random('w', [5])] },
      /extents that broadcast, got an activation/,
    ],
    'a reshape that mixes images': [
      { ...linear, nodes: [op('Reshape', ['x', 's'], 'y')], constants: [integers('s', [7, -1])] },
      /keeps the batch/,
    ],
    'a convolution whose groups do not divide its channels': [
      {
        input: image,
        nodes: [op('Conv', ['x', 'cw'], 'y', { group: { int: 2 } })],
        constants: [random('cw', [3, 1, 3, 3])],
      },
      /weights \[out,1,…\] in 2 groups, got \[3,1,3,3\]/,
    ],
    'a dilation of nothing': [
      {
        input: image,
        nodes: [op('Conv', ['x', 'cw'], 'y', { dilations: { ints: [0, 2] } })],
        constants: [conv],
      },
      /dilations ≥ 1, got \[0,2\]/,
    ],
    'a convolution larger than its input': [
      { input: ['N', 2, 2, 2], nodes: [op('Conv', ['x', 'cw'], 'y')], constants: [conv] },
      /extents ≥ 1, got \[3,0,1\]/,
    ],
    'absurd pads': [
      {
        input: image,
        nodes: [op('Conv', ['x', 'cw'], 'y', { pads: { ints: [60_000, 60_000, 0, 0] } })],
        constants: [conv],
      },
      /at most 4194304 values/,
    ],
    'an absurd input': [
      {
        ...linear,
        input: ['N', 2 ** 40],
        nodes: [op('Sub', ['x', 'w'], 'y')],
        constants: [random('w', [1])],
      },
      /at most 4194304 values/,
    ],
    'weights that are not numbers': [
      { ...linear, constants: [{ name: 'w', shape: [7, 1], data: new Float32Array(7).fill(Number.NaN) }] },
      /finite weights, got NaN/,
    ],
    'a symbolic batch in arithmetic': [
      {
        ...linear,
        nodes: [op('Shape', ['x'], 's'), op('Mul', ['s', 's'], 'p'), op('Reshape', ['x', 'p'], 'y')],
      },
      /Mul \(node the p\): expected arithmetic that does not depend on the batch/,
    ],
    'a batch that is cut': [
      {
        ...linear,
        nodes: [op('Slice', ['x', 's', 'e'], 'y')],
        constants: [integers('s', [0]), integers('e', [1])],
      },
      /keep the images of a batch apart, got axis 0 of \[batch,7\]/,
    ],
    'a batch that is summed': [
      { ...linear, nodes: [op('ReduceSum', ['x'], 'y')] },
      /ReduceSum \(node the y\): expected to keep the images of a batch apart/,
    ],
    'a batch that is multiplied': [
      { ...linear, nodes: [op('MatMul', ['w', 'x'], 'y')], constants: [dense(4, 1)] },
      /vectors of single images, got an activation \[batch,7\]/,
    ],
    'a batch that ends elsewhere': [
      { ...linear, nodes: [op('Transpose', ['x'], 't'), op('Relu', ['t'], 'y')] },
      /output y to have the batch as its first axis, got \[7,batch\]/,
    ],
    'a concatenation of batches': [
      { ...linear, nodes: [op('Relu', ['x'], 'r'), op('Concat', ['x', 'r'], 'y', { axis: { int: 0 } })] },
      /which is not the batch, got an activation \[batch,7\]/,
    ],
    'absurd repetition': [
      {
        ...linear,
        input: ['N', 4096],
        nodes: [
          op('Slice', ['x', 's', 'e', 'a'], 'f'),
          op('Expand', ['f', 'n'], 'g'),
          op('Concat', ['x', 'g'], 'h', { axis: { int: 1 } }),
          op('Relu', ['h'], 'y'),
        ],
        constants: [integers('s', [0]), integers('e', [1]), integers('a', [1]), integers('n', [1, 2 ** 20])],
      },
      /selected at most 16384 times of 4096, got one 1048577 times/,
    ],
    'an absurd constant': [
      {
        ...linear,
        nodes: [op('ConstantOfShape', ['n'], 'c'), op('Add', ['x', 'c'], 'y')],
        constants: [integers('n', [2 ** 20, 2 ** 20])],
      },
      /constants of at most 4194304 values/,
    ],
    'a constant that is no number, put beside the input': [
      {
        ...linear,
        nodes: [op('Concat', ['w', 'x'], 'c', { axis: { int: 1 } }), op('Relu', ['c'], 'y')],
        constants: [{ name: 'w', shape: [1, 1], data: Float32Array.of(Number.NaN) }],
      },
      /finite constants, got NaN/,
    ],
    'training mode': [
      {
        ...linear,
        nodes: [{ ...batchNorm('x', 'y'), attributes: { training_mode: { int: 1 } } }],
        constants: norm(7),
        opset: 15,
      },
      /evaluation mode/,
    ],
  };
  for (const [name, [built, message]] of Object.entries(refusals))
    it(name, () => {
      let error: unknown;
      try {
        importOnnx(encodeOnnx(model(built)), 'file.onnx');
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(FormatError);
      const text = (error as Error).message;
      expect(text).toMatch(message);
      expect(text).toMatch(/^file\.onnx: [^\n]+$/);
    });

  it('constants that claim more than the file holds, without room being made for them', () => {
    const proto = onnx.ModelProto.decode(encodeOnnx(model(linear)));
    (proto.graph?.initializer?.[0] as { dims: number[] }).dims = [2 ** 26, 2 ** 26];
    expect(() => importOnnx(onnx.ModelProto.encode(proto).finish(), 'file.onnx')).toThrow(
      /^file\.onnx: constant "w": expected 18014398509481984 bytes/,
    );
    (proto.graph?.initializer?.[0] as { dims: number[] }).dims = [7, -4];
    expect(() => importOnnx(onnx.ModelProto.encode(proto).finish(), 'file.onnx')).toThrow(
      /expected extents ≥ 0, got \[7,-4\]/,
    );
  });

  it('cut-off, damaged and foreign bytes end as a FormatError or as a network, never as anything else', () => {
    const bytes = encodeOnnx(
      model({
        input: image,
        nodes: [op('Conv', ['x', 'cw'], 'c'), batchNorm('c', 'y')],
        constants: [conv, ...norm(3)],
      }),
    );
    const reads = (candidate: Uint8Array) => {
      try {
        importOnnx(candidate, 'file.onnx');
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        expect((error as Error).message).not.toContain('\n');
        return false;
      }
    };
    expect(reads(new Uint8Array())).toBe(false);
    expect(reads(gzipSync(bytes).subarray(0, 50))).toBe(false);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length - 1 }), (length) => {
        expect(reads(bytes.subarray(0, length))).toBe(false);
      }),
      { numRuns: 200 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        expect(reads(noise)).toBe(false);
      }),
    );
    const damage = fc.array(fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(damage, (changes) => {
        const damaged = Uint8Array.from(bytes);
        for (const [place, value] of changes) damaged[place] = value;
        reads(damaged);
      }),
      { numRuns: 300 },
    );
  });
});
