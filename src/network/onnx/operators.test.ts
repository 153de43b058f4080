/**
 * Every affine operator in its forms, against ONNX Runtime; inputs of odd extents, so that no axis can pass
 * for another.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OnnxAttribute, OnnxNode, OnnxTensor } from '../../formats/onnx.js';
import { builtDifference } from '../../testing/onnx-difference.js';
import { type Built, integers, op, random } from '../../testing/onnx-models.js';

const ints = (...values: number[]): OnnxAttribute => ({ ints: values });
const int = (value: number): OnnxAttribute => ({ int: value });
const string = (value: string): OnnxAttribute => ({ string: value });
const scalar = (name: string, value: number): OnnxTensor => ({
  name,
  shape: [],
  data: BigInt64Array.of(BigInt(value)),
});
const real = (name: string, value: number): OnnxTensor => ({ name, shape: [], data: Float32Array.of(value) });

const image = ['N', 4, 7, 5] as const;
/** One operator on x, its other inputs constants. */
const one = (
  opType: string,
  attributes: Record<string, OnnxAttribute>,
  constants: readonly OnnxTensor[] = [],
  rest: Partial<Built> & { names?: readonly string[] } = {},
): Built => ({
  input: image,
  nodes: [op(opType, rest.names ?? ['x', ...constants.map(({ name }) => name)], 'y', attributes)],
  constants,
  ...rest,
});
const chain = (
  input: Built['input'],
  nodes: readonly OnnxNode[],
  constants: readonly OnnxTensor[] = [],
  opset = 13,
): Built => ({
  input,
  nodes,
  constants,
  opset,
});

const factors = (values: readonly number[]): OnnxTensor => ({
  name: 'f',
  shape: [values.length],
  data: Float32Array.from(values),
});
/** Resize in all its ways to the nearest neighbour. */
const resizes = Object.fromEntries(
  ['half_pixel', 'pytorch_half_pixel', 'asymmetric', 'align_corners'].flatMap((coordinates) =>
    ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].map((nearest): [string, Built] => [
      `Resize ${coordinates} ${nearest}`,
      one(
        'Resize',
        {
          coordinate_transformation_mode: string(coordinates),
          nearest_mode: string(nearest),
          mode: string('nearest'),
        },
        [factors([1, 1, 2, 3])],
        { names: ['x', '', 'f'] },
      ),
    ]),
  ),
);

const groups: Record<string, Record<string, Built>> = {
  convolutions: {
    'in two groups': one('Conv', { group: int(2), pads: ints(1, 0, 0, 2) }, [
      random('w', [6, 2, 3, 2]),
      random('b', [6]),
    ]),
    'depthwise, strided': one('Conv', { group: int(4), strides: ints(2, 1) }, [random('w', [4, 1, 3, 3])]),
    dilated: one('Conv', { dilations: ints(2, 3), pads: ints(1, 1, 2, 0) }, [
      random('w', [3, 4, 3, 2]),
      random('b', [3]),
    ]),
    'in groups with SAME_UPPER': one(
      'Conv',
      { strides: ints(2, 1), group: int(2), auto_pad: string('SAME_UPPER') },
      [random('w', [2, 2, 3, 2])],
    ),
    'of one dimension': one(
      'Conv',
      { pads: ints(1, 2), strides: ints(2) },
      [random('w', [3, 4, 3]), random('b', [3])],
      { input: ['N', 4, 9] },
    ),
    'of one dimension, dilated in groups': one(
      'Conv',
      { dilations: ints(2), group: int(2) },
      [random('w', [4, 2, 3])],
      { input: ['N', 4, 9] },
    ),
    transposed: one('ConvTranspose', {}, [random('w', [4, 3, 3, 2]), random('b', [3])]),
    'transposed with strides, pads and output padding': one(
      'ConvTranspose',
      { strides: ints(3, 2), pads: ints(1, 0, 2, 1), output_padding: ints(2, 1) },
      [random('w', [4, 3, 3, 2]), random('b', [3])],
    ),
    'transposed in groups, dilated': one(
      'ConvTranspose',
      { group: int(2), dilations: ints(2, 1), strides: ints(2, 2) },
      [random('w', [4, 3, 3, 2]), random('b', [6])],
    ),
    'transposed with an output shape': one(
      'ConvTranspose',
      { strides: ints(2, 2), output_shape: ints(14, 10) },
      [random('w', [4, 2, 3, 3])],
    ),
    'transposed with an output shape, SAME_UPPER': one(
      'ConvTranspose',
      { strides: ints(2, 2), output_shape: ints(14, 10), auto_pad: string('SAME_UPPER') },
      [random('w', [4, 2, 3, 3])],
    ),
    'transposed with SAME_UPPER': one(
      'ConvTranspose',
      { strides: ints(2, 2), auto_pad: string('SAME_UPPER') },
      [random('w', [4, 2, 3, 3])],
    ),
    'transposed with SAME_LOWER': one(
      'ConvTranspose',
      { strides: ints(2, 2), auto_pad: string('SAME_LOWER') },
      [random('w', [4, 2, 3, 3])],
    ),
    'transposed of one dimension': one(
      'ConvTranspose',
      { strides: ints(2), pads: ints(1, 0) },
      [random('w', [4, 3, 3]), random('b', [3])],
      {
        input: ['N', 4, 6],
      },
    ),
    'transposed, with a factor and a bias behind it': chain(
      image,
      [
        op('ConvTranspose', ['x', 'w'], 'c', { group: int(2) }),
        op('Mul', ['c', 'f'], 'm'),
        op('Add', ['b', 'm'], 'y'),
      ],
      [random('w', [4, 3, 2, 2]), random('f', [6, 1, 1]), random('b', [1, 6, 1, 1])],
    ),
  },
  pools: {
    AveragePool: one('AveragePool', { kernel_shape: ints(3, 2), strides: ints(2, 1) }),
    'AveragePool with pads that do not count': one('AveragePool', {
      kernel_shape: ints(3, 3),
      pads: ints(1, 1, 0, 1),
      strides: ints(2, 2),
    }),
    'AveragePool with pads that count': one('AveragePool', {
      kernel_shape: ints(3, 3),
      pads: ints(1, 1, 0, 1),
      count_include_pad: int(1),
    }),
    'AveragePool rounded up': one(
      'AveragePool',
      { kernel_shape: ints(3, 2), strides: ints(3, 2), ceil_mode: int(1) },
      [],
      { opset: 19 },
    ),
    'AveragePool rounded up with pads that count': one(
      'AveragePool',
      {
        kernel_shape: ints(3, 2),
        strides: ints(3, 2),
        pads: ints(1, 1, 1, 1),
        ceil_mode: int(1),
        count_include_pad: int(1),
      },
      [],
      { opset: 19 },
    ),
    'AveragePool dilated': one('AveragePool', { kernel_shape: ints(2, 2), dilations: ints(3, 2) }, [], {
      opset: 19,
    }),
    'AveragePool with SAME_LOWER': one('AveragePool', {
      kernel_shape: ints(2, 3),
      auto_pad: string('SAME_LOWER'),
    }),
    'AveragePool of one dimension': one('AveragePool', { kernel_shape: ints(3), strides: ints(2) }, [], {
      input: ['N', 4, 9],
    }),
    GlobalAveragePool: one('GlobalAveragePool', {}),
    'ReduceMean over attributes': one('ReduceMean', { axes: ints(2, 3), keepdims: int(0) }),
    'ReduceMean over the channels': one('ReduceMean', { axes: ints(1) }),
    'ReduceMean over axes that are an input': one(
      'ReduceMean',
      { keepdims: int(0) },
      [integers('a', [-1, 1])],
      { opset: 18 },
    ),
    'ReduceMean over no axes': {
      ...one('ReduceMean', {}, [integers('a', [])], { opset: 18 }),
      nodes: [op('ReduceMean', ['x', 'a'], 'm', { noop_with_empty_axes: int(1) }), op('Relu', ['m'], 'y')],
    },
    'ReduceSum over attributes': one('ReduceSum', { axes: ints(-2) }, [], { opset: 11 }),
    'ReduceSum over axes that are an input': one('ReduceSum', {}, [integers('a', [3])]),
    'ReduceMean of a transposition': chain(image, [
      op('Transpose', ['x'], 't', { perm: ints(0, 2, 3, 1) }),
      op('ReduceMean', ['t'], 'y', { axes: ints(1), keepdims: int(0) }),
    ]),
    'ReduceMean that undoes a product’s transposition': chain(
      ['N', 2, 1],
      [op('MatMul', ['x', 'w'], 'h'), op('ReduceMean', ['h'], 'y', { axes: ints(1) })],
      [random('w', [1, 4])],
    ),
    'ReduceSum of all of one image': one('ReduceSum', { keepdims: int(0) }, [], { input: [1, 3, 2] }),
  },
  rearrangements: {
    'Transpose to NHWC': one('Transpose', { perm: ints(0, 2, 3, 1) }),
    'a network in NHWC': chain(
      ['N', 7, 5, 2],
      [
        op('Mul', ['x', 'f'], 'n'),
        op('Transpose', ['n'], 't', { perm: ints(0, 3, 1, 2) }),
        op('Conv', ['t', 'w'], 'c'),
        op('Transpose', ['c'], 'u', { perm: ints(0, 2, 3, 1) }),
        op('Add', ['u', 'b'], 'a'),
        op('Relu', ['a'], 'r'),
        op('Reshape', ['r', 's'], 'g'),
        op('MatMul', ['g', 'm'], 'y'),
      ],
      [
        random('f', [2], { positive: true }),
        random('w', [3, 2, 3, 3]),
        random('b', [3]),
        integers('s', [-1, 45]),
        random('m', [45, 4]),
      ],
    ),
    'the batch moved and moved back': chain(image, [
      op('Transpose', ['x'], 't', { perm: ints(2, 3, 0, 1) }),
      op('Relu', ['t'], 'r'),
      op('Transpose', ['r'], 'y', { perm: ints(2, 3, 0, 1) }),
    ]),
    'Transpose of one image with its batch': chain(
      [1, 6],
      [op('Transpose', ['x'], 't'), op('MatMul', ['w', 't'], 'y')],
      [random('w', [4, 6])],
    ),
    'Slice by attributes': one('Slice', { starts: ints(1, -3), ends: ints(3, 100), axes: ints(1, 2) }, [], {
      opset: 9,
    }),
    'Slice by inputs, backwards': one('Slice', {}, [
      integers('s', [0, -1]),
      integers('e', [3, -100]),
      integers('a', [1, 3]),
      integers('p', [2, -2]),
    ]),
    'Slice with the whole batch': one('Slice', {}, [
      integers('s', [0, 2]),
      integers('e', [2 ** 31 - 1, -1]),
      integers('a', [0, 2]),
    ]),
    'Slice without axes': one('Slice', {}, [integers('s', [0, 1]), integers('e', [2 ** 40, 3])]),
    'Gather of several': one('Gather', { axis: int(1) }, [integers('i', [3, 0, -2, 0])]),
    'Gather of one, whose axis goes': one('Gather', { axis: int(2) }, [scalar('i', -1)]),
    'Gather by a matrix of indices': one('Gather', { axis: int(-1) }, [
      { name: 'i', shape: [2, 2], data: BigInt64Array.of(1n, 0n, 4n, 2n) },
    ]),
    'Split into equal parts': {
      ...one('Split', { axis: int(1) }),
      nodes: [
        { ...op('Split', ['x'], 'a', { axis: int(1) }), outputs: ['a', 'b'] },
        op('Relu', ['a'], 'r'),
        op('Sub', ['r', 'b'], 'y'),
      ],
    },
    'Split by an attribute': {
      ...one('Split', {}, [], { opset: 11 }),
      nodes: [{ ...op('Split', ['x'], 'a', { axis: int(2), split: ints(3, 4) }), outputs: ['a', 'y'] }],
    },
    'Split by an input, put together again in another order': {
      ...one('Split', {}, [integers('s', [1, 3])]),
      nodes: [
        { ...op('Split', ['x', 's'], 'a', { axis: int(1) }), outputs: ['a', 'b'] },
        op('Concat', ['b', 'a', 'b'], 'y', { axis: int(1) }),
      ],
    },
    'Split into a number of parts': {
      ...one('Split', {}, [], { opset: 18 }),
      nodes: [{ ...op('Split', ['x'], 'a', { axis: int(2), num_outputs: int(2) }), outputs: ['a', 'y'] }],
    },
    'Pad by attributes': one('Pad', { pads: ints(0, 1, 0, 2, 0, 0, 1, 1), value: { float: 0.5 } }, [], {
      opset: 10,
    }),
    'Pad by inputs, and cut': one('Pad', {}, [integers('p', [0, 0, 1, -1, 0, 0, 2, 3]), real('v', -0.25)]),
    'Pad of some axes': one('Pad', {}, [integers('p', [1, 2]), real('v', 0), integers('a', [-1])], {
      opset: 18,
    }),
    'Pad by reflection': one('Pad', { mode: string('reflect') }, [integers('p', [0, 0, 2, 1, 0, 0, 3, 4])]),
    'Pad by edges': one('Pad', { mode: string('edge') }, [integers('p', [0, 0, 2, 1, 0, 0, 3, 4])]),
    'Pad by wrapping': one('Pad', { mode: string('wrap') }, [integers('p', [0, 0, 2, 1, 0, 0, 3, 4])], {
      opset: 19,
    }),
    'Upsample by an attribute': one(
      'Upsample',
      { mode: string('nearest'), scales: { floats: [1, 1, 2, 3] } },
      [],
      { opset: 7 },
    ),
    'Upsample by an input': one('Upsample', {}, [factors([1, 1, 3, 2])], { opset: 9 }),
    'Resize of version 10': one('Resize', {}, [factors([1, 2, 2, 3])], { opset: 10 }),
    'Resize to sizes': one('Resize', {}, [integers('s', [3, 4, 14, 15])], {
      input: [3, 4, 7, 5],
      names: ['x', '', '', 's'],
    }),
    ...resizes,
    Expand: one('Expand', {}, [integers('s', [1, 3, 4, 5])], { input: ['N', 3, 1, 5] }),
    'Expand of one number': chain(
      ['N', 1],
      [op('Expand', ['x', 's'], 'e'), op('Gemm', ['e', 'w'], 'y')],
      [integers('s', [1, 6]), random('w', [6, 3])],
    ),
    'Squeeze and Unsqueeze by attributes': chain(
      ['N', 3, 1, 5],
      [
        op('Squeeze', ['x'], 's', { axes: ints(2) }),
        op('Unsqueeze', ['s'], 'u', { axes: ints(1, -1) }),
        op('Squeeze', ['u'], 'v', { axes: ints(1) }),
        op('Relu', ['v'], 'y'),
      ],
      [],
      11,
    ),
    'Squeeze and Unsqueeze by inputs': chain(
      ['N', 3, 1, 5],
      [op('Squeeze', ['x', 'a'], 's'), op('Unsqueeze', ['s', 'b'], 'u'), op('Conv', ['u', 'w'], 'y')],
      [integers('a', [-2]), integers('b', [1]), random('w', [2, 1, 2, 2])],
    ),
    'Flatten of the only image from its first axis': chain(
      [1, 3, 4],
      [op('Flatten', ['x'], 'f', { axis: int(0) }), op('Gemm', ['f', 'w'], 'y')],
      [random('w', [12, 4])],
    ),
    'Flatten to rows': chain(
      [1, 3, 4],
      [op('Flatten', ['x'], 'f', { axis: int(2) }), op('Gemm', ['f', 'w', 'b'], 'y')],
      [random('w', [4, 2]), random('b', [3, 2])],
    ),
  },
  concatenations: {
    'of branches': chain(
      image,
      [
        op('Conv', ['x', 'w'], 'a', { pads: ints(1, 1, 1, 1) }),
        op('Relu', ['a'], 'b'),
        op('AveragePool', ['x'], 'c', { kernel_shape: ints(3, 3), pads: ints(1, 1, 1, 1) }),
        op('Concat', ['b', 'x', 'c'], 'd', { axis: int(1) }),
        op('Conv', ['d', 'v'], 'y'),
      ],
      [random('w', [3, 4, 3, 3]), random('v', [2, 11, 2, 2])],
    ),
    'along the last axis, with constants': chain(
      [1, 3, 5],
      [
        op('Relu', ['x'], 'r'),
        op('Expand', ['c', 's'], 'e'),
        op('Concat', ['r', 'e', 'x'], 'd', { axis: int(-1) }),
        op('Relu', ['d'], 'y'),
      ],
      [random('c', [1, 3, 1]), integers('s', [1, 3, 2])],
    ),
    'of transpositions': chain(
      ['N', 3, 4],
      [
        op('Transpose', ['x'], 't', { perm: ints(0, 2, 1) }),
        op('Gemm', ['z', 'w'], 'y'),
        op('Concat', ['t', 't'], 'c', { axis: int(2) }),
        op('Flatten', ['c'], 'z'),
      ].sort((a, b) => 'tczy'.indexOf(a.outputs[0] as string) - 'tczy'.indexOf(b.outputs[0] as string)),
      [random('w', [24, 3])],
    ),
  },
  arithmetic: {
    'Neg of a convolution': chain(
      image,
      [op('Conv', ['x', 'w'], 'c'), op('Neg', ['c'], 'y')],
      [random('w', [3, 4, 3, 3])],
    ),
    'Neg of what a skip reads too': chain(
      ['N', 6],
      [
        op('Gemm', ['x', 'w'], 'h'),
        op('Neg', ['h'], 'n'),
        op('Relu', ['n'], 'r'),
        op('Sub', ['h', 'r'], 'y'),
      ],
      [random('w', [6, 4])],
    ),
    'Sub of one activation from another': chain(
      ['N', 6],
      [op('Gemm', ['x', 'w'], 'h'), op('Relu', ['h'], 'r'), op('Sub', ['r', 'x'], 'y')],
      [random('w', [6, 6])],
    ),
    'Sub of itself, and more': chain(['N', 6], [op('Sub', ['x', 'x'], 'z'), op('Sum', ['z', 'x'], 'y')]),
    'Sum of activations and constants': chain(
      ['N', 6],
      [op('Relu', ['x'], 'r'), op('Sum', ['r', 'a', 'x', 'b'], 'y')],
      [random('a', [6]), random('b', [1, 1])],
    ),
    'Add of a constant that enlarges': one('Add', {}, [random('c', [4, 7, 5])], { input: ['N', 4, 1, 5] }),
    'Mul by a constant of a higher rank': one('Mul', {}, [random('c', [2, 1, 3, 5])], { input: [1, 3, 5] }),
    'Add of activations that enlarge each other': chain(
      ['N', 3, 5],
      [
        op('ReduceMean', ['x'], 'm', { axes: ints(1) }),
        op('ReduceMean', ['x'], 'n', { axes: ints(2) }),
        op('Add', ['m', 'n'], 'y'),
      ],
    ),
    'a mean taken away': chain(
      ['N', 3, 5],
      [op('ReduceMean', ['x'], 'm', { axes: ints(-1) }), op('Sub', ['x', 'm'], 'y')],
    ),
    'Div of a view': chain(
      ['N', 3, 4],
      [
        op('Transpose', ['x'], 't', { perm: ints(0, 2, 1) }),
        op('Relu', ['t'], 'r'),
        op('Div', ['r', 'd'], 'y'),
      ],
      [random('d', [3], { positive: true })],
    ),
  },
  products: {
    'MatMul of many vectors': chain(
      ['N', 3, 5],
      [op('MatMul', ['x', 'w'], 'h'), op('Add', ['h', 'b'], 'a'), op('Relu', ['a'], 'y')],
      [random('w', [5, 4]), random('b', [4])],
    ),
    'MatMul twice': chain(
      ['N', 3, 5],
      [op('MatMul', ['x', 'w'], 'h'), op('Relu', ['h'], 'r'), op('MatMul', ['r', 'v'], 'y')],
      [random('w', [5, 4]), random('v', [4, 2])],
    ),
    'MatMul of an image': chain(['N', 2, 3, 5], [op('MatMul', ['x', 'w'], 'y')], [random('w', [1, 5, 4])]),
    'MatMul with the matrix on the left': chain(
      ['N', 3, 5],
      [op('MatMul', ['w', 'x'], 'y')],
      [random('w', [4, 3])],
    ),
    'MatMul with the matrix on the left of an image': chain(
      ['N', 2, 3, 5],
      [op('MatMul', ['w', 'x'], 'h'), op('Relu', ['h'], 'y')],
      [random('w', [4, 3])],
    ),
    'MatMul with a vector': chain(['N', 3, 5], [op('MatMul', ['x', 'w'], 'y')], [random('w', [5])]),
    'MatMul with a vector on the left': chain(
      ['N', 3, 5],
      [op('MatMul', ['w', 'x'], 'y')],
      [random('w', [3])],
    ),
    'MatMul of channels that are last': chain(
      ['N', 3, 2, 5],
      [
        op('Conv', ['x', 'k'], 'c'),
        op('Transpose', ['c'], 't', { perm: ints(0, 2, 3, 1) }),
        op('MatMul', ['t', 'w'], 'y'),
      ],
      [random('k', [6, 3, 1, 2]), random('w', [6, 4])],
    ),
    'Gemm of rows': {
      ...chain(
        [3, 5],
        [
          op('Transpose', ['x'], 't'),
          op('Gemm', ['w', 't', 'b'], 'g', { alpha: { float: 2 } }),
          op('Transpose', ['g'], 'y'),
        ],
        [random('w', [4, 5]), random('b', [4, 1])],
      ),
    },
    'Gemm with both turned': chain(
      [1, 6],
      [op('Transpose', ['x'], 't'), op('Gemm', ['t', 'w'], 'y', { transA: int(1), transB: int(1) })],
      [random('w', [4, 6])],
    ),
    'Gemm of a slice': chain(
      ['N', 9],
      [
        op('Slice', ['x', 's', 'e', 'a'], 'h'),
        op('Gemm', ['h', 'w'], 'g'),
        op('Slice', ['x', 'e', 'z', 'a'], 'i'),
        op('Gemm', ['i', 'v'], 'j'),
        op('Add', ['g', 'j'], 'y'),
      ],
      [
        integers('s', [0]),
        integers('e', [2]),
        integers('z', [9]),
        integers('a', [1]),
        random('w', [2, 4]),
        random('v', [7, 4]),
      ],
    ),
    'Gemm of what was padded': chain(
      ['N', 4],
      [op('Pad', ['x', 'p', 'v'], 'h'), op('Gemm', ['h', 'w'], 'y')],
      [integers('p', [0, 1, 0, 2]), real('v', 2), random('w', [7, 3])],
    ),
    'outputs in another order': chain(
      ['N', 4],
      [op('Gemm', ['x', 'w', 'b'], 'h'), op('Gather', ['h', 'i'], 'y', { axis: int(1) })],
      [random('w', [4, 3]), random('b', [3]), integers('i', [2, 0])],
    ),
  },
  'computed constants': {
    'weights that are turned, cut and put together': chain(
      ['N', 6],
      [
        op('Transpose', ['u'], 'ut'),
        op('Slice', ['v', 's', 'e'], 'vs'),
        op('Concat', ['ut', 'vs'], 'w', { axis: int(0) }),
        op('Unsqueeze', ['b', 'a'], 'bu'),
        op('Sub', ['bu', 'd'], 'bd'),
        op('Gemm', ['x', 'w', 'bd'], 'y'),
      ],
      [
        random('u', [3, 2]),
        random('v', [7, 3]),
        integers('s', [2]),
        integers('e', [6]),
        random('b', [3]),
        integers('a', [0]),
        random('d', []),
      ],
    ),
    'a traced expand': chain(
      ['N', 1, 4],
      [
        op('ConstantOfShape', ['l'], 'ones', {
          value: { tensor: { name: '', shape: [1], data: BigInt64Array.of(1n) } },
        }),
        op('Mul', ['ones', 'minus'], 'm'),
        op('Equal', ['s', 'm'], 'q'),
        op('Where', ['q', 'ones', 's'], 't'),
        op('Expand', ['x', 't'], 'e'),
        op('Relu', ['e'], 'y'),
      ],
      [integers('l', [3]), integers('minus', [-1]), integers('s', [-1, 5, -1])],
    ),
  },
  'computed shapes': {
    'a traced view(x.size(0), -1)': chain(
      image,
      [
        op('Shape', ['x'], 'sh'),
        op('Gather', ['sh', 'zero'], 'n'),
        op('Unsqueeze', ['n', 'first'], 'nn'),
        op('Concat', ['nn', 'rest'], 's', { axis: int(0) }),
        op('Reshape', ['x', 's'], 'f'),
        op('Gemm', ['f', 'w'], 'y'),
      ],
      [scalar('zero', 0), integers('first', [0]), integers('rest', [-1]), random('w', [140, 3])],
    ),
    'extents multiplied': chain(
      image,
      [
        op('Shape', ['x'], 'sh'),
        op('Slice', ['sh', 'one', 'two'], 'c'),
        op('Slice', ['sh', 'two', 'four'], 'hw'),
        op('Gather', ['hw', 'zero'], 'h'),
        op('Gather', ['hw', 'unit'], 'w0'),
        op('Mul', ['h', 'w0'], 'a'),
        op('Unsqueeze', ['a', 'first'], 'area'),
        op('Slice', ['sh', 'first', 'one'], 'n'),
        op('Concat', ['n', 'c', 'area'], 's', { axis: int(0) }),
        op('Reshape', ['x', 's'], 'r'),
        op('ReduceMean', ['r'], 'y', { axes: ints(2) }),
      ],
      [
        scalar('zero', 0),
        scalar('unit', 1),
        integers('first', [0]),
        integers('one', [1]),
        integers('two', [2]),
        integers('four', [4]),
      ],
    ),
    'a fixed batch': chain(
      [2, 3, 4],
      [
        op('Shape', ['x'], 'sh'),
        op('Gather', ['sh', 'i'], 's'),
        op('Reshape', ['x', 's'], 'r'),
        op('Transpose', ['r'], 'y', { perm: ints(0, 2, 1) }),
      ],
      [integers('i', [0, 2, 1])],
    ),
    'constants of computed shape': chain(
      ['N', 3, 4],
      [
        op('Shape', ['x'], 'sh', {}),
        op('ConstantOfShape', ['sh'], 'c', {
          value: { tensor: { name: '', shape: [1], data: Float32Array.of(0.5) } },
        }),
        op('Range', ['a', 'b', 'd'], 'r'),
        op('Sub', ['c', 'r'], 'k'),
        op('Add', ['x', 'k'], 'e'),
        op('Expand', ['e', 'sh'], 'y'),
      ],
      [real('a', 0), real('b', 2), real('d', 0.5)],
    ),
  },
};

describe.each(Object.entries(groups))(
  '%s: an imported network computes what ONNX Runtime computes',
  (_, builds) => {
    it.each(Object.entries(builds))('%s', async (_, built) => {
      expect(await builtDifference(built)).toBeLessThan(1e-5);
    });
  },
);

describe('an input without a batch axis is one image', () => {
  const single: Record<string, Built> = {
    'a vector': chain([5], [op('Gemm', ['u', 'w'], 'y'), op('Unsqueeze', ['x', 'a'], 'u')].reverse(), [
      integers('a', [0]),
      random('w', [5, 3]),
    ]),
    'a vector times a matrix': chain(
      [5],
      [op('MatMul', ['x', 'w'], 'h'), op('Add', ['h', 'b'], 'a'), op('Relu', ['a'], 'y')],
      [random('w', [5, 4]), random('b', [4])],
    ),
    'a column': chain([5, 1], [op('MatMul', ['w', 'x'], 'h'), op('Relu', ['h'], 'y')], [random('w', [4, 5])]),
    'an image': chain(
      [3, 4, 5],
      [op('Unsqueeze', ['x', 'a'], 'u'), op('Conv', ['u', 'w'], 'c'), op('Flatten', ['c'], 'y')],
      [integers('a', [0]), random('w', [2, 3, 2, 2])],
    ),
  };
  it.each(Object.entries(single))('%s', async (_, built) => {
    expect(await builtDifference(built, true)).toBeLessThan(1e-5);
  });
});

/** One random step: a node or two from a value of extents `shape` (the batch first) to another. */
interface Step {
  readonly nodes: (from: string, to: string) => OnnxNode[];
  readonly constants: readonly OnnxTensor[];
  readonly shape: readonly number[];
}
type Choice = readonly [kind: number, a: number, b: number];

/** What a choice means for a value of these extents [batch, …]; names of constants end in `id`. */
function stepOf([kind, a, b]: Choice, shape: readonly number[], id: string): Step {
  const axis = 1 + (a % (shape.length - 1));
  const extent = shape[axis] as number;
  const last = shape.at(-1) as number;
  const changed = (to: number) => shape.map((e, i) => (i === axis ? to : e));
  const c = `c${id}`;
  const simple = (
    opType: string,
    to: readonly number[],
    constants: readonly OnnxTensor[] = [],
    attributes: Record<string, OnnxAttribute> = {},
  ): Step => ({
    nodes: (from, y) => [op(opType, [from, ...constants.map(({ name }) => name)], y, attributes)],
    constants,
    shape: to,
  });
  switch (kind) {
    case 0: {
      const rotated = shape.map((_, i) => (i === 0 ? 0 : 1 + ((i + b) % (shape.length - 1))));
      return simple(
        'Transpose',
        rotated.map((i) => shape[i] as number),
        [],
        { perm: ints(...rotated) },
      );
    }
    case 1: {
      const start = b % extent;
      return simple('Slice', changed(extent - start), [
        integers(`${c}s`, [start]),
        integers(`${c}e`, [2 ** 31]),
        integers(`${c}a`, [axis]),
      ]);
    }
    case 2:
      return simple('Gather', changed(3), [integers(c, [b % extent, extent - 1, -1])], { axis: int(axis) });
    case 3: {
      const pads = [...shape, ...shape].map((_, i) =>
        i === axis ? b % 2 : i === axis + shape.length ? 1 : 0,
      );
      return simple('Pad', changed(extent + 1 + (b % 2)), [integers(`${c}p`, pads), real(`${c}v`, b % 3)]);
    }
    case 4:
      return simple('Relu', shape);
    case 5:
      return simple('Add', shape, [random(c, [last])]);
    case 6:
      return simple('Mul', shape, [random(c, shape.slice(1, 2).concat(shape.slice(2).map(() => 1)))]);
    case 7:
      return simple('MatMul', [...shape.slice(0, -1), 4], [random(c, [last, 4])]);
    case 8:
      return simple('ReduceMean', changed(1), [], { axes: ints(axis) });
    case 9:
      return {
        nodes: (from, y) => [
          op('Relu', [from], `${y}r`),
          op('Concat', [`${y}r`, from], y, { axis: int(axis) }),
        ],
        constants: [],
        shape: changed(2 * extent),
      };
    case 10:
      return simple('Flatten', [shape[0] as number, shape.slice(1).reduce((x, y) => x * y, 1)]);
    default:
      return {
        nodes: (from, y) => [
          op('Neg', [from], `${y}n`),
          op('Relu', [`${y}n`], `${y}r`),
          op('Add', [`${y}r`, from], y),
        ],
        constants: [],
        shape,
      };
  }
}

describe('any chain of operators', () => {
  it('computes what ONNX Runtime computes, for a symbolic batch and a fixed one', async () => {
    const choices = fc.array(fc.tuple(fc.nat({ max: 11 }), fc.nat({ max: 7 }), fc.nat({ max: 7 })), {
      minLength: 1,
      maxLength: 7,
    });
    const extents = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(extents, choices, fc.constantFrom('N', 1, 2), async (input, steps, batch) => {
        let shape: readonly number[] = [typeof batch === 'number' ? batch : 3, ...input];
        const nodes: OnnxNode[] = [];
        const constants: OnnxTensor[] = [];
        steps.forEach((choice, k) => {
          const step = stepOf(choice, shape, `${k}`);
          if (step.shape.reduce((x, y) => x * y, 1) > 2000) return;
          nodes.push(...step.nodes(nodes.at(-1)?.outputs[0] ?? 'x', `v${k}`));
          constants.push(...step.constants);
          shape = step.shape;
        });
        nodes.push(op('Add', [nodes.at(-1)?.outputs[0] ?? 'x', 'one'], 'y'));
        expect(
          await builtDifference({
            input: [batch, ...input],
            nodes,
            constants: [...constants, real('one', 1)],
          }),
        ).toBeLessThan(1e-5);
      }),
      { numRuns: 80 },
    );
  });
});

describe('windows of any extents, strides, dilations, pads and groups', () => {
  const between = (min: number, max: number) => fc.integer({ min, max });
  const pair = (min: number, max: number) => fc.tuple(between(min, max), between(min, max));
  const geometries = fc.record({
    extents: pair(3, 6),
    kernel: pair(1, 3),
    strides: pair(1, 3),
    dilations: pair(1, 2),
    pads: fc.tuple(between(0, 2), between(0, 2), between(0, 2), between(0, 2)),
    group: between(1, 2),
    ceil: between(0, 1),
    count: between(0, 1),
  });
  /**
   * Calls with a geometry whose windows fit; pads of pools are smaller than the kernel, as ONNX Runtime
   * wants.
   */
  const property = (
    built: (geometry: typeof geometries extends fc.Arbitrary<infer T> ? T : never) => Built | undefined,
  ) =>
    fc.assert(
      fc.asyncProperty(geometries, async (geometry) => {
        const made = built(geometry);
        fc.pre(made !== undefined);
        expect(await builtDifference(made as Built)).toBeLessThan(1e-5);
      }),
      { numRuns: 40 },
    );
  const reach = (k: number, d: number) => (k - 1) * d + 1;
  const window = ({
    strides,
    dilations,
    pads,
  }: {
    strides: number[];
    dilations: number[];
    pads: number[];
  }) => ({
    strides: ints(...strides),
    dilations: ints(...dilations),
    pads: ints(...pads),
  });

  it('of Conv', () =>
    property(({ extents, kernel, group, ...rest }) => {
      const fits = [0, 1].every(
        (i) =>
          (extents[i] as number) + (rest.pads[i] as number) + (rest.pads[i + 2] as number) >=
          reach(kernel[i] as number, rest.dilations[i] as number),
      );
      if (!fits) return undefined;
      return one(
        'Conv',
        { ...window(rest), group: int(group) },
        [random('w', [2 * group, 2, ...kernel]), random('b', [2 * group])],
        {
          input: ['N', 2 * group, ...extents],
        },
      );
    }));
  it('of ConvTranspose', () =>
    property(({ extents, kernel, group, ...rest }) => {
      const fits = [0, 1].every(
        (i) =>
          ((extents[i] as number) - 1) * (rest.strides[i] as number) +
            reach(kernel[i] as number, rest.dilations[i] as number) >
          (rest.pads[i] as number) + (rest.pads[i + 2] as number),
      );
      if (!fits) return undefined;
      return one(
        'ConvTranspose',
        { ...window(rest), group: int(group) },
        [random('w', [2 * group, 3, ...kernel]), random('b', [3 * group])],
        {
          input: ['N', 2 * group, ...extents],
        },
      );
    }));
  it('of AveragePool', () =>
    property(({ extents, kernel, ceil, count, ...rest }) => {
      const pads = rest.pads.map((p, i) => Math.min(p, (kernel[i % 2] as number) - 1));
      const fits = [0, 1].every(
        (i) =>
          (extents[i] as number) + (pads[i] as number) + (pads[i + 2] as number) >=
          reach(kernel[i] as number, rest.dilations[i] as number),
      );
      if (!fits) return undefined;
      return one(
        'AveragePool',
        {
          ...window({ ...rest, pads }),
          kernel_shape: ints(...kernel),
          ceil_mode: int(ceil),
          count_include_pad: int(count),
        },
        [],
        {
          input: ['N', 2, ...extents],
          opset: 19,
        },
      );
    }));
});
