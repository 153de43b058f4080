/**
 * Operators that bend, against ONNX Runtime: piecewise linear ones as compositions of ReLUs, smooth ones as
 * layers of their own.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../formats/format-error.js';
import { encodeOnnx, type OnnxAttribute, type OnnxNode, type OnnxTensor } from '../../formats/onnx.js';
import { builtDifference } from '../../testing/onnx-difference.js';
import { type Built, model, op, random } from '../../testing/onnx-models.js';
import { importOnnx } from './import.js';

const ints = (...values: number[]): OnnxAttribute => ({ ints: values });
const real = (name: string, ...values: number[]): OnnxTensor => ({
  name,
  shape: values.length === 1 ? [] : [values.length],
  data: Float32Array.from(values),
});

/** Pixels moved to [−3, 3], then the nodes given, from h to y. */
const around = (
  nodes: readonly OnnxNode[],
  constants: readonly OnnxTensor[] = [],
  { input = ['N', 3, 5, 4], ...rest }: Partial<Built> = {},
): Built => ({
  input,
  nodes: [op('Mul', ['x', 'six'], 'wide'), op('Sub', ['wide', 'three'], 'h'), ...nodes],
  constants: [real('six', 6), real('three', 3), ...constants],
  ...rest,
});
const one = (
  opType: string,
  attributes: Record<string, OnnxAttribute> = {},
  constants: readonly OnnxTensor[] = [],
  rest: Partial<Built> = {},
): Built =>
  around([op(opType, ['h', ...constants.map(({ name }) => name)], 'y', attributes)], constants, rest);

const cases: Record<string, Built> = {
  LeakyRelu: one('LeakyRelu', { alpha: { float: 0.2 } }),
  'LeakyRelu without its slope': one('LeakyRelu'),
  'LeakyRelu with a slope above 1': one('LeakyRelu', { alpha: { float: 1.5 } }),
  'PRelu with a slope per channel': one('PRelu', {}, [random('s', [3, 1, 1])]),
  'PRelu with a slope per feature': one('PRelu', {}, [random('s', [3, 5, 4])]),
  'Clip at both ends': one('Clip', {}, [real('a', -1), real('b', 2)]),
  'Clip at its lower end': one('Clip', {}, [real('a', 0.5)]),
  'Clip at its upper end': around([op('Clip', ['h', '', 'b'], 'y')], [real('b', -0.5)]),
  'Clip at neither end': around([op('Clip', ['h'], 'c'), op('Relu', ['c'], 'y')]),
  'Clip by attributes, as relu6 was': one('Clip', { min: { float: 0 }, max: { float: 2.5 } }, [], {
    opset: 8,
  }),
  'Clip by one attribute': one('Clip', { max: { float: 1 } }, [], { opset: 10 }),
  Abs: one('Abs'),
  'Max with a constant': one('Max', {}, [random('c', [3, 1, 4])]),
  'Min with a constant': one('Min', {}, [random('c', [1])]),
  'Max of branches and constants': around(
    [
      op('Neg', ['h'], 'n'),
      op('Abs', ['h'], 'a'),
      op('Max', ['n', 'c', 'a', 'h'], 'm'),
      op('Add', ['m', 'h'], 'y'),
    ],
    [random('c', [4])],
  ),
  'Min of branches': around(
    [op('Mul', ['h', 'half'], 'p'), op('Sub', ['h', 'half'], 'q'), op('Min', ['p', 'q', 'h'], 'y')],
    [real('half', 0.5)],
  ),
  'Min of a branch that is repeated': around([
    op('MaxPool', ['h'], 'p', { kernel_shape: ints(5, 4) }),
    op('Min', ['p', 'h'], 'y'),
  ]),
  'Max of constants that a file computes': around(
    [op('Max', ['c', 'd'], 'e'), op('Add', ['h', 'e'], 'y')],
    [random('c', [4]), random('d', [5, 1])],
  ),
  'an activation read by something else too': around([
    op('LeakyRelu', ['h'], 'l'),
    op('Abs', ['l'], 'a'),
    op('Add', ['a', 'h'], 's'),
    op('Add', ['s', 'l'], 'y'),
  ]),
  'a transposed view': around(
    [
      op('Transpose', ['h'], 't', { perm: ints(0, 2, 3, 1) }),
      op('Clip', ['t', 'a', 'b'], 'c'),
      op('Tanh', ['c'], 'y'),
    ],
    [real('a', -1), real('b', 1)],
  ),
  'MaxPool of one dimension': one(
    'MaxPool',
    { kernel_shape: ints(3), strides: ints(2), pads: ints(1, 0) },
    [],
    { input: ['N', 3, 8] },
  ),
  'MaxPool with ceil_mode': one('MaxPool', {
    kernel_shape: ints(2, 3),
    strides: ints(2, 2),
    ceil_mode: { int: 1 },
  }),
  'MaxPool with SAME_LOWER': one('MaxPool', {
    kernel_shape: ints(3, 2),
    strides: ints(2, 2),
    auto_pad: { string: 'SAME_LOWER' },
  }),
  'MaxPool with dilations': one('MaxPool', { kernel_shape: ints(2, 2), dilations: ints(3, 2) }),
  'MaxPool of a convolution that is read twice': around(
    [
      op('Conv', ['h', 'w', 'b'], 'c'),
      op('MaxPool', ['c'], 'p', { kernel_shape: ints(2, 2), strides: ints(2, 2), pads: ints(0, 1, 0, 0) }),
      op('Relu', ['c'], 'r'),
      op('MaxPool', ['r'], 'q', { kernel_shape: ints(2, 2), strides: ints(2, 2), pads: ints(0, 1, 0, 0) }),
      op('Add', ['p', 'q'], 'y'),
    ],
    [random('w', [2, 3, 2, 2]), random('b', [2])],
  ),
  GlobalMaxPool: one('GlobalMaxPool'),
  Sigmoid: one('Sigmoid'),
  Tanh: one('Tanh'),
  'Sigmoid of float64': {
    input: ['N', 4],
    nodes: [op('MatMul', ['x', 'w'], 'h'), op('Sigmoid', ['h'], 'y')],
    constants: [random('w', [4, 3], { double: true })],
    double: true,
  },
  'Casts between float types': around([
    op('Cast', ['h'], 'd', { to: { int: 11 } }),
    op('Tanh', ['d'], 't'),
    op('Cast', ['t'], 'y', { to: { int: 1 } }),
  ]),
  'Casts of constants': around(
    [
      op('Cast', ['c'], 'i', { to: { int: 7 } }),
      op('Cast', ['i'], 'f', { to: { int: 1 } }),
      op('Add', ['h', 'f'], 'y'),
    ],
    [real('c', -1.7, 0.2, 1.9, 3)],
  ),
};

describe('an imported network computes what ONNX Runtime computes', () => {
  for (const [name, built] of Object.entries(cases))
    it(`for ${name}`, async () => {
      expect(await builtDifference(built)).toBeLessThan(1e-5);
    });

  it('for max pools of any window', async () => {
    const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));
    await fc.assert(
      fc.asyncProperty(
        pair(1, 3),
        pair(1, 3),
        pair(0, 1),
        pair(0, 1),
        fc.boolean(),
        async (kernel, strides, before, after, ceil) => {
          // ONNX Runtime wants pads below the kernel's extent.
          const pads = [...before, ...after].map((pad, i) => Math.min(pad, (kernel[i % 2] as number) - 1));
          const attributes = {
            kernel_shape: ints(...kernel),
            strides: ints(...strides),
            pads: ints(...pads),
            ceil_mode: { int: ceil ? 1 : 0 },
          };
          expect(await builtDifference(one('MaxPool', attributes))).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe('what the importer makes of them', () => {
  const kinds = (name: string) =>
    importOnnx(encodeOnnx(model(cases[name] as Built)), 'built')
      .network.nodes.map(({ layer }) => layer.name)
      .slice(1);
  it('Clip is a chain of two ReLUs, on which intervals are exact', () => {
    expect(kinds('Clip at both ends').filter((name) => name !== 'scale')).toEqual(['relu', 'relu']);
  });
  it('LeakyRelu and Abs have one ReLU', () => {
    for (const name of ['LeakyRelu', 'PRelu with a slope per channel', 'Abs'])
      expect(kinds(name).filter((kind) => kind === 'relu')).toHaveLength(1);
  });
  it('a pool has a ReLU less than taps for each output', () => {
    const net = importOnnx(encodeOnnx(model(one('MaxPool', { kernel_shape: ints(3, 3) }))), 'built').network;
    const relus = net.nodes.flatMap(({ layer }) =>
      layer.kind === 'relu' ? [layer.output.reduce((a, b) => a * b, 1)] : [],
    );
    expect(relus.reduce((a, b) => a + b, 0)).toBe(8 * 3 * 3 * 2);
  });
});

describe('what they cannot do is refused in one line', () => {
  const refusals: Record<string, [Built, RegExp]> = {
    'ends of Clip the wrong way round': [
      one('Clip', {}, [real('a', 2), real('b', 1)]),
      /Clip \(node the y\): expected min ≤ max, got 2 and 1/,
    ],
    'an end of Clip that is no number': [
      one('Clip', {}, [real('a', Number.NaN)]),
      /a number as min, got NaN/,
    ],
    'slopes that depend on the input': [
      around([op('PRelu', ['h', 'h'], 'y')]),
      /PRelu \(node the y\): expected constant slopes/,
    ],
    'indices of maxima': [
      around([{ ...op('MaxPool', ['h'], 'y', { kernel_shape: ints(2, 2) }), outputs: ['y', 'i'] }]),
      /expected maxima alone/,
    ],
    'Cast of what depends on the input to integers': [
      one('Cast', { to: { int: 7 } }),
      /Cast \(node the y\): expected float32 or float64 .* got int64/,
    ],
    'Cast to a type without arrays': [
      one('Cast', { to: { int: 10 } }),
      /expected one of the types float32, .*, got type 10/,
    ],
    'Softmax at the end': [one('Softmax'), /Softmax \(node the y\): this operator is not supported/],
  };
  for (const [name, [built, message]] of Object.entries(refusals))
    it(name, () => {
      const read = () => importOnnx(encodeOnnx(model(built)), 'file.onnx');
      expect(read).toThrow(FormatError);
      expect(read).toThrow(message);
    });
});
