import { describe, expect, it } from 'vitest';
import { evaluate, input } from '../graph/index.js';
import { keyOf } from '../runtime/random/keys.js';
import { distance, runProgram, separated } from '../testing/operator-check.js';
import { type ArchitectureName, architecture } from './architectures.js';
import { initialize } from './initialization.js';
import { convolutionLayer } from './layers/convolution.js';
import { type AffineLayer, type Extents, featuresOf, joinLayer, reluLayer } from './layers/layer.js';
import { linearLayer } from './layers/linear.js';
import { chain, forward, INPUT, isChain, logits, type Network, network, parameterInputs } from './network.js';

const batch = 2;
type Arrays = Record<string, Float32Array>;

/** One affine layer on one image, by loops over its definition. */
function affineDirectly(
  layer: AffineLayer,
  weight: Float32Array | undefined,
  bias: Float32Array | undefined,
  x: number[],
): number[] {
  const [depth, height, width] = layer.input;
  if ('normalization' in layer) {
    const { mean, std } = layer.normalization as { mean: number[]; std: number[] };
    return x.map(
      (value, i) =>
        (value - (mean[Math.floor(i / (height * width))] as number)) /
        (std[Math.floor(i / (height * width))] as number),
    );
  }
  const at = (array: Float32Array | undefined, i: number) => (array as Float32Array)[i] as number;
  if (layer.window === undefined)
    return Array.from({ length: featuresOf(layer.output) }, (_, o) =>
      x.reduce((sum, value, i) => sum + value * at(weight, o * x.length + i), at(bias, o)),
    );
  const [channels, rows, columns] = layer.output;
  const { kernel, stride, padding } = layer.window;
  const y: number[] = [];
  for (let o = 0; o < channels; o++)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        let sum = at(bias, o);
        for (let c = 0; c < depth; c++)
          for (let p = 0; p < kernel[0]; p++)
            for (let q = 0; q < kernel[1]; q++) {
              const [r, s] = [i * stride[0] + p - padding[0], j * stride[1] + q - padding[1]];
              if (r >= 0 && r < height && s >= 0 && s < width)
                sum +=
                  at(weight, ((o * depth + c) * kernel[0] + p) * kernel[1] + q) *
                  (x[(c * height + r) * width + s] as number);
            }
        y.push(sum);
      }
  return y;
}

/** Activations of every node for one image. */
function forwardDirectly({ nodes }: Network, arrays: Arrays, image: number[]): number[][] {
  const made: number[][] = [];
  nodes.forEach(({ layer, inputs }, k) => {
    const from = inputs.map((i) => (i === INPUT ? image : (made[i] as number[])));
    const first = from[0] as number[];
    if (layer.kind === 'relu') made.push(first.map((v) => Math.max(v, 0)));
    else if (layer.kind === 'activation')
      made.push(first.map(layer.function === 'tanh' ? Math.tanh : (v) => 1 / (1 + Math.exp(-v))));
    else if (layer.kind === 'join')
      made.push(first.map((_, i) => from.reduce((sum, x) => sum + (x[i] as number), 0)));
    else made.push(affineDirectly(layer, arrays[`${k}.weight`], arrays[`${k}.bias`], first));
  });
  return made;
}

/** Two convolutions beside a strided one from the network's input, joined twice, then a linear layer. */
function residual(): Network {
  const shape: Extents = [2, 6, 5];
  const keep = (channels: number) => ({ channels, kernel: [3, 3] as const, padding: [1, 1, 1, 1] as const });
  const wide: Extents = [3, 6, 5];
  return network('residual', shape, [
    { layer: convolutionLayer(shape, keep(3)), inputs: [INPUT] },
    { layer: reluLayer(wide), inputs: [0] },
    { layer: convolutionLayer(wide, keep(3)), inputs: [1] },
    { layer: convolutionLayer(shape, { channels: 3, kernel: [1, 1] }), inputs: [INPUT] },
    { layer: joinLayer(wide), inputs: [2, 3] },
    { layer: reluLayer(wide), inputs: [4] },
    { layer: joinLayer(wide), inputs: [5, 1, 2] },
    { layer: linearLayer(wide, 4), inputs: [6] },
  ]);
}

const normalization = { mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3] };
const networks: Network[] = [
  architecture('fc', [1, 4, 5], 3),
  architecture('fc-small', [2, 3, 3], 4, { mean: [0.1, 0.3], std: [0.5, 0.7] }),
  architecture('cnn3', [1, 9, 8], 3),
  architecture('cnn5', [3, 8, 6], 5, normalization),
  residual(),
];

describe('a forward pass', () => {
  it.each(networks.map((net) => [net.name, net] as const))(
    'of %s equals loops over its definition at every node, and in ONNX Runtime',
    async (_, net) => {
      const arrays: Arrays = initialize(net, 'kaiming', keyOf(net.name));
      const features = featuresOf(net.input);
      const images = separated(features * batch, 5).map((v) => Math.fround(v / features));
      for (const dtype of ['float64', 'float32'] as const) {
        const nodes = forward(net, parameterInputs(net, dtype), input('x', [features, batch], dtype));
        const feeds = { ...arrays, x: images };
        const outputs = Object.fromEntries(nodes.map((node, k) => [`node ${k}`, node]));
        const made =
          dtype === 'float64' ? evaluate(nodes, feeds) : Object.values(await runProgram(outputs, feeds));
        for (let b = 0; b < batch; b++) {
          const image = Array.from({ length: features }, (_, i) => images[i * batch + b] as number);
          forwardDirectly(net, arrays, image).forEach((expected, k) => {
            const got = expected.map((_, i) => (made[k] as Float64Array)[i * batch + b] as number);
            expect(distance(got, expected), `node ${k} of image ${b}`).toBeLessThan(
              dtype === 'float64' ? 1e-12 : 1e-6,
            );
          });
        }
      }
      expect(logits(net, parameterInputs(net), input('x', [features, batch])).shape).toEqual([
        net.classes,
        batch,
      ]);
    },
  );
});

describe('a network', () => {
  it('is a chain when each layer reads the one before it', () => {
    expect(networks.map(isChain)).toEqual([true, true, true, true, false]);
  });

  it('is refused where a node reads what does not come before it or has other extents, and without layers', () => {
    const layer = reluLayer([4, 1, 1]);
    expect(() => network('n', [4, 1, 1], [{ layer, inputs: [0] }])).toThrow(
      'node 0 (relu) reads node 0, which does not come before it',
    );
    expect(() => network('n', [4, 1, 1], [{ layer, inputs: [-2] }])).toThrow(RangeError);
    expect(() => network('n', [5, 1, 1], [{ layer, inputs: [INPUT] }])).toThrow(
      'node 0 (relu) expects 4×1×1, node -1 gives 5×1×1',
    );
    expect(() => chain('n', [4, 1, 1], [linearLayer([4, 1, 1], 3), layer])).toThrow(
      'node 1 (relu) expects 4×1×1, node 0 gives 3×1×1',
    );
    expect(() => chain('n', [4, 1, 1], [])).toThrow('expected at least one layer');
  });

  it('takes an image or a vector of as many features', () => {
    expect(chain('n', [4, 2, 2], [linearLayer([16, 1, 1], 3)]).classes).toBe(3);
  });
});

describe('named architectures', () => {
  const count = (name: ArchitectureName, shape: Extents, classes: number) => {
    const { nodes } = architecture(name, shape, classes);
    return {
      affine: nodes.filter(({ layer }) => layer.kind === 'affine').length,
      relu: nodes.filter(({ layer }) => layer.kind === 'relu').length,
      parameters: nodes
        .flatMap(({ layer }) => layer.parameters)
        .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    };
  };
  // Counted by hand: out · (in · kernel² + 1) for each convolution, out · (in + 1) for each linear layer.
  it.each([
    ['fc', [1, 28, 28], 10, 5, 400 * 785 + 200 * 401 + 100 * 201 + 100 * 101 + 10 * 101],
    ['fc-small', [1, 28, 28], 10, 3, 100 * 785 + 100 * 101 + 10 * 101],
    ['cnn3', [1, 28, 28], 10, 3, 16 * 26 + 32 * 257 + 10 * (32 * 49 + 1)],
    ['cnn3', [3, 32, 32], 10, 3, 16 * 76 + 32 * 257 + 10 * (32 * 64 + 1)],
    ['cnn5', [1, 28, 28], 10, 5, 16 * 10 + 16 * 257 + 32 * 257 + 512 * (32 * 49 + 1) + 10 * 513],
    ['cnn5-l', [3, 32, 32], 10, 5, 64 * 28 + 64 * 1025 + 128 * 1025 + 512 * (128 * 64 + 1) + 10 * 513],
    [
      'cnn7',
      [3, 32, 32],
      10,
      7,
      64 * 28 + 64 * 577 + 128 * 577 + 2 * 128 * 1153 + 512 * (128 * 256 + 1) + 10 * 513,
    ],
    [
      'cnn7',
      [3, 64, 64],
      200,
      7,
      64 * 28 + 64 * 577 + 128 * 577 + 2 * 128 * 1153 + 512 * (128 * 1024 + 1) + 200 * 513,
    ],
  ] as const)(
    '%s on %j with %i classes has %i affine layers, a ReLU between each two, and the parameters of the field',
    (name, shape, classes, affine, parameters) => {
      expect(count(name, shape, classes)).toEqual({ affine, relu: affine - 1, parameters });
    },
  );

  it('normalise first where asked, without a parameter more', () => {
    const net = architecture('cnn5', [3, 32, 32], 10, normalization);
    expect(net.nodes[0]?.layer.name).toBe('normalize');
    expect(net.nodes.map(({ layer }) => layer.name).slice(1)).toEqual(
      architecture('cnn5', [3, 32, 32], 10).nodes.map(({ layer }) => layer.name),
    );
    expect(Object.keys(parameterInputs(net))[0]).toBe('1.weight');
  });
});
