import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate, input, sizeOf } from '../graph/index.js';
import { normalNumbers, uniformNumbers } from '../testing/numbers.js';
import { distance, expectDerivatives, weighted } from '../testing/operator-check.js';
import { architecture } from './architectures.js';
import { batchForward, channelStatistics, normalizedForward } from './batch-statistics.js';
import {
  batchNormNodes,
  type ChannelStatistics,
  foldedNetwork,
  foldedParameters,
  foldParameters,
  type Statistics,
} from './folding.js';
import { batchNormLayer, withoutBias } from './layers/batch-norm.js';
import { convolutionLayer } from './layers/convolution.js';
import { type AffineLayer, type Extents, joinLayer, reluLayer } from './layers/layer.js';
import { linearLayer } from './layers/linear.js';
import { chain, INPUT, logits, type Network, network, parameterInputs } from './network.js';

const image: Extents = [2, 4, 3];

/** A convolution and a linear layer with batch normalisation, with and without biases of their own. */
const networks = fc
  .record({
    channels: fc.integer({ min: 1, max: 3 }),
    hidden: fc.integer({ min: 1, max: 4 }),
    biased: fc.boolean(),
  })
  .map(({ channels, hidden, biased }): Network => {
    const kept = (layer: AffineLayer) => (biased ? layer : withoutBias(layer));
    const convolution = convolutionLayer(image, { channels, kernel: [2, 2], padding: [1, 0, 0, 1] });
    const linear = linearLayer(convolution.output, hidden);
    return chain('normalised', image, [
      ...[kept(convolution), batchNormLayer(convolution.output), reluLayer(convolution.output)],
      ...[kept(linear), batchNormLayer(linear.output), reluLayer(linear.output)],
      linearLayer(linear.output, 3),
    ]);
  });

function arraysOf(net: Network, seed: number): Record<string, Float64Array> {
  return Object.fromEntries(
    Object.entries(parameterInputs(net)).map(([name, { shape }]) => [
      name,
      normalNumbers(`${name} ${seed}`, sizeOf(shape)),
    ]),
  );
}

const BATCH = 4;
/** The last image is padding. */
const present = Float64Array.of(1, 1, 1, 0);

describe('statistics of a batch', () => {
  it('are mean and mean squared deviation of each channel over places and the images that are present', () => {
    const [channels, places] = [3, 5];
    const values = normalNumbers('activations', channels * places * BATCH);
    const y = input('y', [channels * places, BATCH], 'float64');
    const { mean, variance } = channelStatistics(y, channels, input('present', [1, BATCH], 'float64'));
    const [gotMean, gotVariance] = evaluate([mean, variance], { y: values, present }) as [
      Float64Array,
      Float64Array,
    ];
    for (let c = 0; c < channels; c++) {
      const seen = [...values].filter(
        (_, at) => Math.floor(at / BATCH / places) === c && at % BATCH < BATCH - 1,
      );
      const mu = seen.reduce((a, b) => a + b, 0) / seen.length;
      expect(gotMean[c]).toBeCloseTo(mu, 12);
      expect(gotVariance[c]).toBeCloseTo(seen.reduce((s, v) => s + (v - mu) ** 2, 0) / seen.length, 12);
    }
  });

  it('leave activations of mean β and deviation |γ| behind', () => {
    const layer = withoutBias(linearLayer([3, 1, 1], 2));
    const net = chain('single', [3, 1, 1], [layer, batchNormLayer([2, 1, 1])]);
    const gamma = Float64Array.of(-2, 0.5);
    const beta = Float64Array.of(1, -3);
    const x = input('x', [3, 50], 'float64');
    const ones = input('present', [1, 50], 'float64');
    const { values } = batchForward(net, parameterInputs(net, 'float64'), x, ones);
    const { mean, variance } = channelStatistics(values.at(-1) as (typeof values)[number], 2, ones);
    const feeds = {
      ...arraysOf(net, 1),
      '1.weight': gamma,
      '1.bias': beta,
      x: normalNumbers('x', 150),
      present: new Float64Array(50).fill(1),
    };
    const [mu, v] = evaluate([mean, variance], feeds) as [Float64Array, Float64Array];
    expect(distance(mu, beta)).toBeLessThan(1e-12);
    expect(
      distance(
        v,
        gamma.map((g) => g * g),
      ),
    ).toBeLessThan(1e-4);
  });

  it('are differentiated through, in weights, γ, β and images', () => {
    fc.assert(
      fc.property(networks, fc.nat(), (net, seed) => {
        const parameters = parameterInputs(net, 'float64');
        const x = input('x', [24, BATCH], 'float64');
        const { values } = batchForward(net, parameters, x, input('present', [1, BATCH], 'float64'));
        // Behind the first batch normalisation: no kink lies within a step.
        const loss = weighted(values[batchNormNodes(net)[0] as number] as (typeof values)[number]);
        const inputs = Object.entries(parameters).flatMap(([name, t]) => (/^[01]\./.test(name) ? [t] : []));
        expectDerivatives(
          loss,
          [...inputs, x],
          { ...arraysOf(net, seed), x: uniformNumbers(`x ${seed}`, 24 * BATCH), present },
          1e-5,
        );
      }),
      { numRuns: 5 },
    );
  });
});

describe('a folded network', () => {
  it('has no batch normalisation and computes what the network with the same statistics does', () => {
    fc.assert(
      fc.property(networks, fc.nat(), (net, seed) => {
        const parameters = parameterInputs(net, 'float64');
        const x = input('x', [24, BATCH], 'float64');
        const { values, statistics } = batchForward(
          net,
          parameters,
          x,
          input('present', [1, BATCH], 'float64'),
        );
        const plain = foldedNetwork(net);
        expect(batchNormNodes(plain)).toEqual([]);
        const inGraph = logits(plain, foldedParameters(net, parameters, statistics), x);
        const arrays = arraysOf(net, seed);
        const feeds = { ...arrays, x: uniformNumbers(`x ${seed}`, 24 * BATCH), present };
        const found = [...statistics].map(
          ([node, { mean, variance }]) => [node, evaluate([mean, variance], feeds)] as const,
        );
        const known: Statistics<ArrayLike<number>> = new Map(
          found.map(([node, [mean, variance]]) => [
            node,
            { mean, variance } as ChannelStatistics<Float64Array>,
          ]),
        );
        const [expected, got] = evaluate([values.at(-1) as typeof x, inGraph], feeds) as [
          Float64Array,
          Float64Array,
        ];
        expect(distance(got, expected)).toBeLessThan(1e-10);

        const rounded = Object.fromEntries(
          Object.entries(arrays).map(([name, array]) => [name, Float32Array.from(array)]),
        );
        const [alone] = evaluate([logits(plain, parameterInputs(plain, 'float64'), x)], {
          ...feeds,
          ...foldParameters(net, rounded, known),
        });
        expect(distance(alone as Float64Array, expected)).toBeLessThan(1e-3);
        const fixed = normalizedForward(net, parameters, x, (node, y, channels) => ({
          mean: input(`mean ${node}`, [channels], y.dtype),
          variance: input(`variance ${node}`, [channels], y.dtype),
        }));
        const given = Object.fromEntries(
          found.flatMap(([node, [mean, variance]]) => [
            [`mean ${node}`, mean as Float64Array],
            [`variance ${node}`, variance as Float64Array],
          ]),
        );
        const [again] = evaluate([fixed.values.at(-1) as typeof x], { ...feeds, ...given });
        expect(distance(again as Float64Array, expected)).toBeLessThan(1e-12);
      }),
      { numRuns: 10 },
    );
  });

  it('is, of cnn7-bn, what cnn7 is', () => {
    const [plain, folded] = [
      architecture('cnn7', [3, 8, 8], 10),
      foldedNetwork(architecture('cnn7-bn', [3, 8, 8], 10)),
    ];
    const shapes = (net: Network) =>
      net.nodes.map(({ layer, inputs }) => ({
        name: layer.name,
        inputs,
        output: layer.output,
        parameters: layer.parameters,
      }));
    expect(shapes(folded)).toEqual(shapes(plain));
    expect(batchNormNodes(architecture('cnn7-bn', [3, 8, 8], 10))).toHaveLength(6);
  });

  it('is the network itself where there is nothing to fold', () => {
    const net = chain('plain', [3, 1, 1], [linearLayer([3, 1, 1], 2)]);
    expect(foldedNetwork(net)).toBe(net);
  });

  it('refuses a batch normalisation without a layer of its own to fold into', () => {
    const [linear, norm] = [linearLayer([3, 1, 1], 3), batchNormLayer([3, 1, 1])];
    expect(() => foldedNetwork(chain('first', [3, 1, 1], [norm, linear]))).toThrow(
      /node 0 to follow a convolution or linear layer.*got the input/,
    );
    expect(() => foldedNetwork(chain('behind', [3, 1, 1], [linear, reluLayer([3, 1, 1]), norm]))).toThrow(
      /node 2 .*got relu/,
    );
    const shared = network(
      'shared',
      [3, 1, 1],
      [
        { layer: linear, inputs: [INPUT] },
        { layer: norm, inputs: [0] },
        { layer: joinLayer([3, 1, 1]), inputs: [0, 1] },
      ],
    );
    expect(() => foldedNetwork(shared)).toThrow(/node 1 .*with other readers/);
  });

  it('is what must be run: the layer itself knows no statistics', () => {
    const net = chain('raw', [3, 1, 1], [linearLayer([3, 1, 1], 3), batchNormLayer([3, 1, 1])]);
    expect(() => logits(net, parameterInputs(net), input('x', [3, 2]))).toThrow(
      /batch-norm: expected the network folded/,
    );
  });
});
