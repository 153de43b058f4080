/**
 * Random small networks for properties of bounds: dense, convolutional, residual and of imported layers, 3 to
 * 36 inputs, with and without normalisation.
 */
import fc from 'fast-check';
import { sizeOf } from '../graph/index.js';
import { activationNames } from '../network/activations/index.js';
import { type ConvolutionGeometry, convolutionLayer } from '../network/layers/convolution.js';
import { groupedConvolutionLayer } from '../network/layers/grouped-convolution.js';
import {
  activationLayer,
  type Extents,
  featuresOf,
  joinLayer,
  type Layer,
  reluLayer,
} from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { normalizeLayer } from '../network/layers/normalize.js';
import { poolingLayer } from '../network/layers/pooling.js';
import { selectionLayer } from '../network/layers/selection.js';
import { transposedConvolutionLayer } from '../network/layers/transposed-convolution.js';
import {
  chain,
  INPUT,
  type Network,
  type NetworkNode,
  network,
  parameterInputs,
} from '../network/network.js';
import { normalNumbers } from './numbers.js';

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const pair = (min: number, max: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(between(min, max), between(min, max));
const bit = between(0, 1);

/** A normalisation with uneven means and deviations. */
const normalization = (extents: Extents): Layer =>
  normalizeLayer(extents, {
    mean: Array.from({ length: extents[0] }, (_, c) => 0.3 + 0.2 * (c % 3)),
    std: Array.from({ length: extents[0] }, (_, c) => 0.5 + 0.3 * (c % 2)),
  });

/** The affine layers given, a ReLU between each two of them, behind a normalisation if asked for. */
function reluChain(
  name: string,
  input: Extents,
  affine: readonly ((from: Extents) => Layer)[],
  normalized: boolean,
): Network {
  const layers: Layer[] = normalized ? [normalization(input)] : [];
  let extents = input;
  affine.forEach((make, i) => {
    if (i > 0) layers.push(reluLayer(extents));
    const layer = make(extents);
    layers.push(layer);
    extents = layer.output;
  });
  return shown(chain(name, input, layers));
}

const linear = (outputs: number) => (from: Extents) => linearLayer(from, outputs);

/** A convolution whose kernel is cut to what fits its input. */
const fitting =
  ({ kernel, padding = [0, 0, 0, 0], ...rest }: ConvolutionGeometry) =>
  (from: Extents) =>
    convolutionLayer(from, {
      ...rest,
      padding,
      kernel: [
        Math.min(kernel[0], from[1] + padding[0] + padding[2]),
        Math.min(kernel[1], from[2] + padding[1] + padding[3]),
      ],
    });

/** Shows a counterexample as its layers instead of their code. */
function shown(net: Network): Network {
  const text = () =>
    net.nodes
      .map(({ layer, inputs }, k) => `${k}: ${layer.name}(${inputs.join(',')}) → ${layer.output.join('×')}`)
      .join('; ');
  return Object.assign(net, {
    [fc.toStringMethod]: () => `${net.name} on ${net.input.join('×')}: ${text()}`,
  });
}

/** Two to four linear layers. */
export const denseNetworks: fc.Arbitrary<Network> = fc
  .record({
    inputs: between(3, 12),
    widths: fc.array(between(2, 9), { minLength: 1, maxLength: 3 }),
    classes: between(2, 4),
    normalized: fc.boolean(),
  })
  .map(({ inputs, widths, classes, normalized }) =>
    reluChain('dense', [inputs, 1, 1], [...widths, classes].map(linear), normalized),
  );

const geometry: fc.Arbitrary<ConvolutionGeometry> = fc.record({
  channels: between(1, 3),
  kernel: pair(1, 3),
  stride: pair(1, 2),
  padding: fc.tuple(bit, bit, bit, bit),
});

/** One to three convolutions of any stride and padding on oblong images, then one or two linear layers. */
export const convolutionalNetworks = (
  convolutions: { min: number; max: number } = { min: 1, max: 3 },
): fc.Arbitrary<Network> =>
  fc
    .record({
      channels: between(1, 2),
      height: between(3, 6),
      width: between(3, 6),
      geometries: fc.array(geometry, { minLength: convolutions.min, maxLength: convolutions.max }),
      hidden: fc.option(between(2, 6)),
      classes: between(2, 4),
      normalized: fc.boolean(),
    })
    .map(({ channels, height, width, geometries, hidden, classes, normalized }) => {
      const input: Extents = [channels, height, Math.min(width, Math.floor(36 / (channels * height)))];
      return reluChain(
        'convolutional',
        input,
        [...geometries.map(fitting), ...(hidden ? [linear(hidden)] : []), linear(classes)],
        normalized,
      );
    });

/**
 * Residual networks of convolutions: a stem, then a block whose branch of two convolutions joins its input,
 * or, strided, a 1 × 1 convolution of it; with `fromInput` the pixels themselves join too.
 */
export const residualNetworks: fc.Arbitrary<Network> = fc
  .record({
    height: between(3, 4),
    width: between(2, 4),
    channels: between(1, 2),
    stride: between(1, 2),
    classes: between(2, 4),
    normalized: fc.boolean(),
    fromInput: fc.boolean(),
  })
  .map(({ height, width, channels, stride, classes, normalized, fromInput }) => {
    const input: Extents = [channels, height, width];
    const same = { channels, kernel: [3, 3], padding: [1, 1, 1, 1] } as const;
    const nodes: NetworkNode[] = [];
    const add = (layer: Layer, ...inputs: number[]): number => nodes.push({ layer, inputs }) - 1;
    const from = normalized ? add(normalization(input), INPUT) : INPUT;
    let stem = add(convolutionLayer(input, same), from);
    if (fromInput) stem = add(joinLayer(input), stem, INPUT);
    const block = add(reluLayer(input), stem);
    const first = convolutionLayer(input, { ...same, stride: [stride, stride] });
    const branch = add(convolutionLayer(first.output, same), add(reluLayer(first.output), add(first, block)));
    const skip =
      stride === 1
        ? block
        : add(convolutionLayer(input, { channels, kernel: [1, 1], stride: [stride, stride] }), block);
    const joined = add(joinLayer(first.output), branch, skip);
    add(linearLayer(first.output, classes), add(reluLayer(first.output), joined));
    return shown(network('residual', input, nodes));
  });

/** A permutation of the features, none repeated and none lost. */
const rotation = (extents: Extents, by: number): Layer => {
  const features = featuresOf(extents);
  return selectionLayer(
    extents,
    extents,
    Int32Array.from({ length: features }, (_, i) => (i + by) % features),
  );
};

/** Layers that only imported networks have, by number: from any extents. */
const imported: readonly ((from: Extents) => Layer)[] = [
  (from) =>
    groupedConvolutionLayer(from, {
      channels: 2 * from[0],
      kernel: [2, 2],
      groups: from[0],
      padding: [1, 0, 0, 1],
    }),
  (from) =>
    groupedConvolutionLayer(from, { channels: 2, kernel: [2, 2], dilation: [2, 1], padding: [1, 1, 1, 0] }),
  (from) =>
    transposedConvolutionLayer(from, { channels: 1, kernel: [2, 3], stride: [2, 1], padding: [1, 1, 0, 0] }),
  (from) => transposedConvolutionLayer(from, { channels: from[0], kernel: [2, 2], groups: from[0] }),
  // Means over neighbours, the last of them alone.
  (from) => {
    const features = featuresOf(from);
    const table = Int32Array.from(
      { length: 2 * features },
      (_, i) => (i >> 1) + (i % 2 < features - (i >> 1) ? i % 2 : -1 - (i >> 1)),
    );
    return poolingLayer(from, from, table, new Float64Array(features).fill(0.5));
  },
  // Every other feature, a constant before each.
  (from) => {
    const features = featuresOf(from);
    const table = Int32Array.from({ length: features }, (_, i) => (i % 2 === 0 ? -1 : i));
    return selectionLayer(
      from,
      from,
      table,
      Array.from(table, (row) => (row < 0 ? 0.25 : 0)),
    );
  },
  (from) => rotation(from, 2),
];

/**
 * Networks of the layers that only imported ones have: two of them with ReLUs, then what the first and the
 * second give is concatenated, as a join of selections, and read by a linear layer. With `turned` the pixels
 * are permuted first.
 */
export const importedNetworks: fc.Arbitrary<Network> = fc
  .record({
    input: fc.tuple(between(1, 2), between(2, 3), between(2, 3)),
    kinds: fc.tuple(between(0, imported.length - 1), between(0, imported.length - 1)),
    classes: between(2, 4),
    turned: fc.boolean(),
  })
  .map(({ input, kinds, classes, turned }) => {
    const nodes: NetworkNode[] = [];
    const add = (layer: Layer, ...inputs: number[]): number => nodes.push({ layer, inputs }) - 1;
    const extentsOf = (node: number) => (nodes[node] as NetworkNode).layer.output;
    const behind = (kind: number, from: number) => {
      const layer = (imported[kind] as (from: Extents) => Layer)(from === INPUT ? input : extentsOf(from));
      return add(reluLayer(layer.output), add(layer, from));
    };
    const start = turned ? add(rotation(input, 1), INPUT) : INPUT;
    const first = behind(kinds[0], start);
    const second = behind(kinds[1], first);
    const sizes = [first, second].map((node) => featuresOf(extentsOf(node))) as [number, number];
    const whole: Extents = [sizes[0] + sizes[1], 1, 1];
    const place = (node: number, offset: number) => {
      const own = featuresOf(extentsOf(node));
      const table = Int32Array.from({ length: whole[0] }, (_, i) =>
        i >= offset && i < offset + own ? i - offset : -1,
      );
      return add(selectionLayer(extentsOf(node), whole, table), node);
    };
    const joined = add(joinLayer(whole), place(first, 0), place(second, sizes[0]));
    add(linearLayer([4, 1, 1], classes), add(reluLayer([4, 1, 1]), add(linearLayer(whole, 4), joined)));
    return shown(network('imported', input, nodes));
  });

/** Any of the networks above with some or all of its ReLUs replaced by smooth activations. */
export const smoothNetworks: fc.Arbitrary<Network> = fc
  .tuple(
    fc.oneof(denseNetworks, convolutionalNetworks({ min: 1, max: 2 }), residualNetworks),
    fc.array(fc.constantFrom(...activationNames, 'relu' as const), { minLength: 4, maxLength: 4 }),
    fc.constantFrom(...activationNames),
  )
  .map(([net, choices, first]) => {
    let seen = 0;
    const nodes = net.nodes.map((node): NetworkNode => {
      if (node.layer.kind !== 'relu') return node;
      const choice = seen === 0 ? first : (choices[seen % choices.length] as (typeof choices)[number]);
      seen++;
      return choice === 'relu' ? node : { ...node, layer: activationLayer(node.layer.output, choice) };
    });
    return shown(network(`smooth ${net.name}`, net.input, nodes));
  });

/** Weights from N(0, 2/fan_in) and biases from N(0, 0.1), by name. */
export function randomParameters(net: Network, seed: number): Record<string, Float64Array> {
  const specs = net.nodes.flatMap(({ layer }) => layer.parameters);
  return Object.fromEntries(
    Object.entries(parameterInputs(net)).map(([name, { shape }], i) => {
      const deviation = Math.sqrt(name.endsWith('.bias') ? 0.1 : 2 / (specs[i]?.fanIn as number));
      return [name, normalNumbers(`${name} of ${seed}`, sizeOf(shape)).map((z) => deviation * z)];
    }),
  );
}
