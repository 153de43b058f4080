import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeOnnx, type OnnxNode } from '../src/formats/onnx.js';
import { onnxFiles } from '../src/testing/checker-networks.js';
import { uniformNumbers } from '../src/testing/numbers.js';
import { type Built, integers, model, op, random } from '../src/testing/onnx-models.js';
import { relativeDifference, runOnnx } from '../src/testing/onnx-runs.js';
import { boundNodes } from './bounds.js';
import { readOnnx } from './onnx.js';

/** Relative difference of the checker's values at a point from ONNX Runtime's run of the file. */
async function difference(bytes: Uint8Array, extents: readonly number[]): Promise<number> {
  const nodes = readOnnx(bytes);
  const x = Float32Array.from(
    uniformNumbers(
      'x',
      extents.reduce((a, b) => a * b, 1),
    ),
  );
  const box = { lower: Float64Array.from(x), upper: Float64Array.from(x) };
  const bounds = boundNodes(nodes, box);
  const [lower, upper] = [bounds.lower.at(-1), bounds.upper.at(-1)] as [Float64Array, Float64Array];
  const expected = await runOnnx(bytes, x, 1, [...extents]);
  return relativeDifference(
    Array.from(lower, (l, i) => (l + (upper[i] as number)) / 2),
    expected,
  );
}

const shapes: readonly (readonly [string, Built])[] = [
  [
    'MatMul and Add',
    {
      input: [1, 4],
      nodes: [op('MatMul', ['x', 'w'], 'h'), op('Add', ['b', 'h'], 'y')],
      constants: [random('w', [4, 3]), random('b', [3])],
    },
  ],
  [
    'Gemm with a bias, then Add and Sub',
    {
      input: [1, 4],
      nodes: [
        op('Gemm', ['x', 'w', 'b'], 'h'),
        op('Add', ['h', 'c'], 'i'),
        op('MatMul', ['i', 'v'], 'j'),
        op('Sub', ['j', 'd'], 'y'),
      ],
      constants: [
        random('w', [4, 3]),
        random('b', [3]),
        random('c', [3]),
        random('v', [3, 2]),
        random('d', [2]),
      ],
    },
  ],
  [
    'Gemm, its matrix either way',
    {
      input: [1, 4],
      nodes: [
        op('Gemm', ['x', 'w', 'b'], 'h'),
        op('Relu', ['h'], 'r'),
        op('Gemm', ['r', 'v'], 'y', { transB: { int: 1 } }),
      ],
      constants: [random('w', [4, 3]), random('b', [1, 3]), random('v', [5, 3])],
    },
  ],
  [
    'Conv with strides and uneven pads',
    {
      input: [1, 2, 5, 6],
      nodes: [op('Conv', ['x', 'w', 'b'], 'y', { strides: { ints: [2, 1] }, pads: { ints: [1, 0, 2, 3] } })],
      constants: [random('w', [3, 2, 3, 2]), random('b', [3])],
    },
  ],
  [
    'Conv whose extents have no exact quotient',
    {
      input: [1, 16, 14, 14],
      nodes: [op('Conv', ['x', 'w', 'b'], 'y', { strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] } })],
      constants: [random('w', [32, 16, 4, 4]), random('b', [32])],
    },
  ],
  [
    'Conv without bias, Reshape, Gemm',
    {
      input: [1, 1, 4, 4],
      nodes: [op('Conv', ['x', 'w'], 'h'), op('Reshape', ['h', 's'], 'f'), op('Gemm', ['f', 'v'], 'y')],
      constants: [random('w', [5, 1, 2, 2]), integers('s', [0, -1]), random('v', [45, 2])],
    },
  ],
  [
    'normalisation by Sub, Div and Mul',
    {
      input: [1, 2, 2, 2],
      nodes: [op('Sub', ['x', 'm'], 'a'), op('Div', ['a', 'd'], 'b'), op('Mul', ['c', 'b'], 'y')],
      constants: [random('m', [1, 2, 1, 1]), random('d', [2, 1, 1], { positive: true }), random('c', [])],
    },
  ],
  [
    'a residual sum',
    {
      input: [1, 3],
      nodes: [op('Relu', ['x'], 'r'), op('Gemm', ['r', 'w'], 'h'), op('Add', ['h', 'x'], 'y')],
      constants: [random('w', [3, 3])],
    },
  ],
  [
    'Flatten and Identity',
    {
      input: [1, 2, 3],
      nodes: [op('Flatten', ['x'], 'f'), op('Identity', ['f'], 'i'), op('MatMul', ['i', 'w'], 'y')],
      constants: [random('w', [6, 2])],
    },
  ],
];

test.each(shapes)('%s: what is read is what ONNX Runtime runs', async (_, built) => {
  expect(await difference(encodeOnnx(model(built)), built.input.slice(1) as number[])).toBeLessThan(1e-5);
});

test('float64 files keep their weights', () => {
  const data = Float64Array.of(1 + 1e-12, -1);
  const constants = [{ name: 'w', shape: [1, 2], data }];
  const bytes = encodeOnnx(
    model({ input: [1, 1], nodes: [op('Gemm', ['x', 'w'], 'y')], constants, double: true }),
  );
  const [, gemm] = readOnnx(bytes);
  expect(gemm?.op === 'affine' && [...gemm.weight.subarray(0, 2)]).toEqual([1 + 1e-12, -1]);
});

test('random networks of ours are read as ONNX Runtime runs them', async () => {
  await fc.assert(
    fc.asyncProperty(onnxFiles, async ({ bytes, extents }) => {
      expect(await difference(bytes, extents)).toBeLessThan(1e-4);
    }),
  );
});

const refused: readonly (readonly [string, OnnxNode[], RegExp])[] = [
  ['another operator', [op('Sigmoid', ['x'], 'y')], /Sigmoid/],
  ['Gemm with alpha', [op('Gemm', ['x', 'w'], 'y', { alpha: { float: 2 } })], /alpha = 2/],
  ['Gemm with transA', [op('Gemm', ['x', 'w'], 'y', { transA: { int: 1 } })], /transA = 1/],
  ['Flatten of another axis', [op('Flatten', ['x'], 'y', { axis: { int: 0 } })], /axis = 0/],
  ['a constant divided by a value', [op('Div', ['w', 'x'], 'y')], /"w" is no value/],
  ['a constant minus a value', [op('Sub', ['w', 'x'], 'y')], /"w" is no value/],
  ['a product of values', [op('Mul', ['x', 'x'], 'y')], /"x" is no constant/],
  ['a matrix that does not fit', [op('MatMul', ['x', 'v'], 'y')], /does not fit/],
  ['a value that is computed twice', [op('Relu', ['x'], 'y'), op('Identity', ['x'], 'y')], /two things/],
  ['a value that is never computed', [op('Relu', ['z'], 'y')], /"z" is no value/],
];

test.each(refused)('%s is refused by name', (_, nodes, message) => {
  const constants = [random('w', [4, 4]), random('v', [3, 2])];
  expect(() => readOnnx(encodeOnnx(model({ input: [1, 4], nodes, constants })))).toThrow(message);
});

test('a file that is cut short or changed is refused, or is another network, but never hangs or crashes', () => {
  const bytes = encodeOnnx(
    model({ input: [1, 4], nodes: [op('Gemm', ['x', 'w'], 'y')], constants: [random('w', [4, 4])] }),
  );
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = bytes.slice();
      changed[at] = (changed[at] as number) ^ change;
      for (const file of [changed, bytes.subarray(0, at)])
        try {
          readOnnx(file);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
    }),
    { numRuns: 500 },
  );
});
