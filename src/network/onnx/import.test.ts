import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import onnxProto from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import { encodeOnnx, type OnnxNode, type OnnxTensor } from '../../formats/onnx.js';
import { builtDifference, fileDifference } from '../../testing/onnx-difference.js';
import { type Built, batchNorm, integers, model, norm, op, random } from '../../testing/onnx-models.js';
import { importOnnx } from './import.js';

const { onnx } = onnxProto;
const image = ['N', 2, 6, 5] as const;
const conv = random('cw', [3, 2, 3, 2]);
const convBias = random('cb', [3]);
const dense = (rows: number, columns: number) => random('w', [rows, columns]);
/** Nodes after a convolution named c that flatten it and end in y. */
const head = (from: string, features: number): { nodes: OnnxNode[]; constants: OnnxTensor[] } => ({
  nodes: [
    op('Relu', [from], 'r'),
    op('Flatten', ['r'], 'f'),
    op('Gemm', ['f', 'hw', 'hb'], 'y', { transB: { int: 1 } }),
  ],
  constants: [random('hw', [4, features]), random('hb', [4])],
});
const after = (
  from: string,
  features: number,
  nodes: OnnxNode[],
  constants: OnnxTensor[],
  rest: Partial<Built> = {},
): Built => {
  const end = head(from, features);
  return {
    input: image,
    nodes: [...nodes, ...end.nodes],
    constants: [...constants, ...end.constants],
    ...rest,
  };
};
const strided = {
  strides: { ints: [2, 1] },
  pads: { ints: [1, 0, 2, 1] },
  kernel_shape: { ints: [3, 2] },
  group: { int: 1 },
  dilations: { ints: [1, 1] },
} as const;
const variations: Record<string, Built> = {
  'a convolution with uneven pads and strides': after(
    'c',
    3 * 4 * 5,
    [op('Conv', ['x', 'cw', 'cb'], 'c', strided)],
    [conv, convBias],
  ),
  'a convolution without bias': after('c', 3 * 4 * 4, [op('Conv', ['x', 'cw'], 'c')], [conv]),
  'a convolution with SAME_UPPER padding': after(
    'c',
    3 * 3 * 3,
    [op('Conv', ['x', 'cw'], 'c', { auto_pad: { string: 'SAME_UPPER' }, strides: { ints: [2, 2] } })],
    [conv],
  ),
  'a convolution with SAME_LOWER padding': after(
    'c',
    3 * 6 * 5,
    [op('Conv', ['x', 'cw'], 'c', { auto_pad: { string: 'SAME_LOWER' } })],
    [conv],
  ),
  'a convolution with VALID padding': after(
    'c',
    3 * 4 * 4,
    [op('Conv', ['x', 'cw'], 'c', { auto_pad: { string: 'VALID' } })],
    [conv],
  ),
  'a bias added behind a convolution': after(
    'a',
    3 * 4 * 4,
    [op('Conv', ['x', 'cw'], 'c'), op('Add', ['bias', 'c'], 'a')],
    [conv, random('bias', [1, 3, 1, 1])],
  ),
  'an addend per feature behind a convolution': after(
    'a',
    3 * 4 * 4,
    [op('Conv', ['x', 'cw', 'cb'], 'c'), op('Add', ['c', 'bias'], 'a')],
    [conv, convBias, random('bias', [3, 4, 4])],
  ),
  'batch normalisation behind a convolution': after(
    'b',
    3 * 4 * 4,
    [op('Conv', ['x', 'cw'], 'c'), batchNorm('c', 'b')],
    [conv, ...norm(3)],
  ),
  'batch normalisation of a convolution that a skip reads too': after(
    'j',
    3 * 4 * 4,
    [op('Conv', ['x', 'cw'], 'c'), batchNorm('c', 'b'), op('Add', ['b', 'c'], 'j')],
    [conv, ...norm(3)],
  ),
  'batch normalisation behind a ReLU': after(
    'b',
    3 * 4 * 4,
    [op('Conv', ['x', 'cw'], 'c'), op('Relu', ['c'], 'p'), batchNorm('p', 'b')],
    [conv, ...norm(3)],
  ),
  'batch normalisation behind a linear layer': {
    input: ['N', 7],
    nodes: [op('MatMul', ['x', 'w'], 'h'), batchNorm('h', 'y')],
    constants: [dense(7, 4), ...norm(4)],
  },
  'Gemm with alpha, beta and an untransposed matrix': {
    input: ['N', 7],
    nodes: [op('Gemm', ['x', 'w', 'b'], 'y', { alpha: { float: 0.5 }, beta: { float: -2 } })],
    constants: [dense(7, 4), random('b', [1, 4])],
  },
  'Gemm with one bias for all': {
    input: ['N', 7],
    nodes: [op('Gemm', ['x', 'w', 'b'], 'y')],
    constants: [dense(7, 4), random('b', [1])],
  },
  'Gemm without bias': {
    input: ['N', 7],
    nodes: [op('Gemm', ['x', 'w'], 'y', { transB: { int: 1 } })],
    constants: [dense(4, 7)],
  },
  'MatMul and Add': {
    input: ['N', 7],
    nodes: [op('MatMul', ['x', 'w'], 'h'), op('Add', ['h', 'b'], 'r'), op('Relu', ['r'], 'y')],
    constants: [dense(7, 4), random('b', [4])],
  },
  'MatMul of a row per image': {
    input: ['N', 1, 7],
    nodes: [op('MatMul', ['x', 'w'], 'y')],
    constants: [dense(7, 4)],
  },
  'MatMul of a matrix and a column per image': {
    input: ['N', 7, 1],
    nodes: [op('MatMul', ['w', 'x'], 'y')],
    constants: [dense(4, 7)],
  },
  'a fixed batch of one and a traced Reshape': {
    input: [1, 2, 3, 4],
    nodes: [op('Reshape', ['x', 's'], 'f'), op('Gemm', ['f', 'w'], 'y')],
    constants: [integers('s', [1, -1]), dense(24, 4)],
  },
  'a fixed batch of five': {
    input: [5, 2, 3, 4],
    nodes: [op('Reshape', ['x', 's'], 'f'), op('Gemm', ['f', 'w'], 'y')],
    constants: [integers('s', [5, 24]), dense(24, 4)],
  },
  'Reshape that copies the batch and builds an image': {
    ...after(
      'c',
      3 * 4 * 4,
      [op('Reshape', ['x', 's'], 'i'), op('Conv', ['i', 'cw'], 'c')],
      [integers('s', [0, 2, 6, -1]), conv],
    ),
    input: ['N', 60],
  },
  'a negative axis of Flatten': {
    input: ['N', 2, 3],
    nodes: [op('Flatten', ['x'], 'f', { axis: { int: -2 } }), op('Gemm', ['f', 'w'], 'y')],
    constants: [dense(6, 4)],
  },
  'Identity, Dropout and Constant': {
    input: ['N', 7],
    nodes: [
      op('Constant', [], 'w', { value: { tensor: dense(7, 4) } }),
      op('Constant', [], 'half', { value_float: { float: 0.5 } }),
      op('Identity', ['w'], 'v'),
      op('Identity', ['x'], 'i'),
      op('Gemm', ['i', 'v'], 'h'),
      op('Dropout', ['h', 'half'], 'd'),
      op('Relu', ['d'], 'y'),
    ],
  },
  'normalisation by channel': {
    ...after(
      'c',
      48,
      [op('Sub', ['x', 'mean'], 's'), op('Div', ['s', 'std'], 'n'), op('Conv', ['n', 'cw'], 'c')],
      [random('mean', [1, 2, 1, 1]), random('std', [2, 1, 1], { positive: true }), conv],
    ),
  },
  'normalisation by pixel, with Mul': {
    ...after(
      'c',
      48,
      [op('Sub', ['x', 'mean'], 's'), op('Mul', ['s', 'factor'], 'n'), op('Conv', ['n', 'cw'], 'c')],
      [random('mean', [1, 2, 6, 5]), random('factor', [], { positive: true }), conv],
    ),
  },
  'an input that is subtracted from a constant': {
    input: ['N', 7],
    nodes: [op('Sub', ['one', 'x'], 's'), op('Gemm', ['s', 'w'], 'y')],
    constants: [random('one', [1]), dense(7, 4)],
  },
  'a residual block with the nodes in reverse order': {
    input: ['N', 7],
    nodes: [
      op('Add', ['r', 'x'], 'j'),
      op('MatMul', ['x', 'u'], 'h'),
      op('Relu', ['h'], 'r'),
      op('Sum', ['j', 'x', 'r'], 'k'),
      op('Gemm', ['k', 'w'], 'y'),
    ].reverse(),
    constants: [random('u', [7, 7]), dense(7, 4)],
  },
  'a node that the output does not need': {
    input: ['N', 7],
    nodes: [op('Softmax', ['x'], 'unused'), op('Gemm', ['x', 'w'], 'y')],
    constants: [dense(7, 4)],
  },
  'float64 values': {
    input: ['N', 7],
    nodes: [op('Gemm', ['x', 'w', 'b'], 'h'), op('Relu', ['h'], 'r'), op('MatMul', ['r', 'u'], 'y')],
    constants: [
      random('w', [7, 5], { double: true }),
      random('b', [5], { double: true }),
      random('u', [5, 4], { double: true }),
    ],
    double: true,
  },
};

/** ONNX Runtime wants a file's nodes in order; the importer does not. */
const sorted = (built: Built, name: string): Built =>
  name.includes('reverse') ? { ...built, nodes: [...built.nodes].reverse() } : built;

describe('an imported network computes what ONNX Runtime computes', () => {
  for (const [name, built] of Object.entries(variations))
    it(`for ${name}`, async () => {
      expect(await builtDifference(sorted(built, name))).toBeLessThan(1e-5);
    });

  it('whatever the order of the nodes in the file', () => {
    const built = variations['a residual block with the nodes in reverse order'] as Built;
    const nodes = [...built.nodes].reverse();
    const layers = (order: readonly OnnxNode[]) =>
      importOnnx(encodeOnnx(model({ ...built, nodes: order })), 'built').network.nodes.map(
        ({ layer, inputs }) => [layer.name, inputs],
      );
    fc.assert(
      fc.property(fc.shuffledSubarray(nodes, { minLength: nodes.length }), (order) => {
        expect(layers(order)).toEqual(layers(nodes));
      }),
      { numRuns: 20 },
    );
  });

  it('for every opset from 7 to 22', async () => {
    const built = variations['a convolution with uneven pads and strides'] as Built;
    for (const opset of [7, 8, 9, 10, 11, 12, 13, 15, 17, 19, 21, 22])
      expect(await builtDifference({ ...built, opset }), `opset ${opset}`).toBeLessThan(1e-5);
  });

  it('for values in typed fields as for raw bytes, and for a compressed file', () => {
    const built = variations['MatMul and Add'] as Built;
    const bytes = encodeOnnx(model(built));
    const proto = onnx.ModelProto.decode(bytes);
    for (const tensor of proto.graph?.initializer ?? []) {
      const raw = Uint8Array.from(tensor.rawData as Uint8Array);
      tensor.floatData = Array.from(new Float32Array(raw.buffer));
      tensor.rawData = new Uint8Array();
    }
    const expected = importOnnx(bytes, 'raw').parameters;
    expect(importOnnx(onnx.ModelProto.encode(proto).finish(), 'typed').parameters).toEqual(expected);
    expect(importOnnx(gzipSync(bytes), 'model.onnx.gz').parameters).toEqual(expected);
  });
});

describe('what the importer makes of a file', () => {
  const layersOf = (name: string) =>
    importOnnx(encodeOnnx(model(variations[name] as Built)), 'built').network.nodes.map(
      ({ layer }) => layer.name,
    );

  it('folds biases and batch normalisation into the layer before them', () => {
    expect(layersOf('MatMul and Add')).toEqual(['linear', 'relu']);
    expect(layersOf('batch normalisation behind a convolution')).toEqual(['convolution', 'relu', 'linear']);
  });
  it('keeps batch normalisation apart from a layer that something else reads too', () => {
    expect(layersOf('batch normalisation of a convolution that a skip reads too')).toEqual([
      'convolution',
      'scale',
      'join',
      'relu',
      'linear',
    ]);
  });
  it('turns arithmetic on the input into the normalisation layer, unless it changes the sign', () => {
    expect(layersOf('normalisation by channel')[0]).toBe('normalize');
    expect(layersOf('normalisation by pixel, with Mul')[0]).toBe('normalize');
    expect(layersOf('an input that is subtracted from a constant')[0]).toBe('scale');
  });

  const layersOfModel = (built: Built) =>
    importOnnx(encodeOnnx(model(built)), 'built').network.nodes.map(({ layer }) => layer.name);
  const toFront = { perm: { ints: [0, 3, 1, 2] } };
  const toBack = { perm: { ints: [0, 2, 3, 1] } };
  it('keeps of a channels-last network only the selection in front, however often it turns', () => {
    const nodes = [
      op('Mul', ['x', 'f'], 'n'),
      op('Transpose', ['n'], 't', toFront),
      op('Conv', ['t', 'cw'], 'c'),
      op('Transpose', ['c'], 'u', toBack),
      op('Add', ['u', 'cb'], 'a'),
      op('Relu', ['a'], 'r'),
      op('Transpose', ['r'], 'v', toFront),
      op('Conv', ['v', 'dw'], 'd'),
      op('Relu', ['d'], 'q'),
      op('Transpose', ['q'], 'w', toBack),
      op('Flatten', ['w'], 'g'),
      op('Gemm', ['g', 'hw'], 'y'),
    ];
    const constants = [
      random('f', [2], { positive: true }),
      conv,
      convBias,
      random('dw', [2, 3, 2, 2]),
      random('hw', [18, 4]),
    ];
    expect(layersOfModel({ input: ['N', 6, 5, 2], nodes, constants })).toEqual([
      'normalize',
      'selection',
      'convolution',
      'relu',
      'convolution',
      'relu',
      'linear',
    ]);
  });
  it('keeps nothing of rearrangements around linear layers', () => {
    const nodes = [
      op('Transpose', ['x'], 't', toBack),
      op('Flatten', ['t'], 'f'),
      op('Gemm', ['f', 'w'], 'h'),
      op('Relu', ['h'], 'r'),
      op('Pad', ['r', 'p'], 'q'),
      op('Gemm', ['q', 'u'], 'g'),
      op('Gather', ['g', 'i'], 'y', { axis: { int: 1 } }),
    ];
    const constants = [
      random('w', [60, 5]),
      integers('p', [0, 1, 0, 1]),
      random('u', [7, 3]),
      integers('i', [2, 1]),
    ];
    expect(layersOfModel({ input: image, nodes, constants })).toEqual(['linear', 'relu', 'linear']);
  });
  it('makes one convolution of a product with many vectors, and nothing between two of them', () => {
    const nodes = [
      op('MatMul', ['x', 'w'], 'h'),
      op('Add', ['h', 'b'], 'a'),
      op('Relu', ['a'], 'r'),
      op('MatMul', ['r', 'u'], 'y'),
    ];
    expect(
      layersOfModel({
        input: ['N', 3, 5],
        nodes,
        constants: [random('w', [5, 4]), random('b', [4]), random('u', [4, 2])],
      }),
    ).toEqual(['convolution', 'relu', 'convolution', 'selection']);
  });
});

describe('networks of the verification competition', () => {
  const folder = fileURLToPath(new URL('../../../../shared/vnncomp2022/', import.meta.url));
  const files: Record<string, readonly number[]> = {
    'mnist_fc/mnist-net_256x2.onnx': [1, 784, 1],
    'oval21/cifar_base_kw.onnx': [1, 3, 32, 32],
    'rl_benchmarks/cartpole.onnx': [1, 4],
    ...Object.fromEntries(
      [1, 2, 3, 4, 5, 6, 7, 8, 9].map((k) => [`acasxu/ACASXU_run2a_1_${k}_batch_2000.onnx`, [1, 1, 1, 5]]),
    ),
  };
  for (const [file, input] of Object.entries(files)) {
    const present = existsSync(folder + file);
    it.skipIf(!present)(
      `${file}${present ? '' : ' (skipped: the file is not beside the project)'} computes what ONNX Runtime computes`,
      async () => {
        expect(await fileDifference(readFileSync(folder + file), input)).toBeLessThan(1e-5);
      },
    );
  }
});
