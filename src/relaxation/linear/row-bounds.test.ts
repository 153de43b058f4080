import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { convolutionLayer } from '../../network/layers/convolution.js';
import {
  type AffineLayer,
  type Extents,
  featuresOf,
  type Layer,
  reluLayer,
} from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { normalizeLayer } from '../../network/layers/normalize.js';
import { scaleLayer } from '../../network/layers/scale.js';
import { chain, type Network } from '../../network/network.js';
import { boundProblem, randomBox, runStages, withCapacities } from '../../testing/bound-programs.js';
import { denseCrownBounds } from '../../testing/dense-crown.js';
import { distance } from '../../testing/operator-check.js';
import { convolutionalNetworks, denseNetworks, randomParameters } from '../../testing/random-networks.js';
import { withoutNormalization } from '../front.js';
import { startBands } from './bands.js';
import { crownBounds } from './crown.js';
import { startRegion } from './region.js';

const BATCH = 3;
const PADDED = [1, 0, 1, 1] as const;

interface Comparison {
  /** Greatest relative difference of any bound. */
  readonly difference: number;
  /** Stages that bound by rows, and neurons of a batch that they may bound. */
  readonly stages: number;
  readonly neurons: number;
}

/** Bounds by rows over receptive fields, in programs of the given sizes, against dense back-substitution. */
async function compare(
  net: Network,
  seed: number,
  epsilon: number,
  all: boolean,
  capacities?: readonly number[],
): Promise<Comparison> {
  const problem = withoutNormalization(boundProblem(net, BATCH));
  const feeds = { ...randomParameters(net, seed), ...randomBox(seed, featuresOf(net.input), BATCH, epsilon) };
  const dense = denseCrownBounds(problem, all);
  const { stages, before } = crownBounds(problem, { all });
  const relus = problem.network.nodes.flatMap(({ layer }, k) => (layer.kind === 'relu' ? [k] : []));
  const outputs = Object.fromEntries(
    relus.flatMap((k) =>
      (['lower', 'upper'] as const).flatMap((side) => [
        [`rows ${side} ${k}`, before(k)[side]],
        [`dense ${side} ${k}`, (dense.get(k - 1) ?? problem.box)[side]],
      ]),
    ),
  );
  const [result] = await runStages(
    [...withCapacities(stages, capacities), { kind: 'whole', outputs }],
    [feeds],
  );
  const made = result?.outputs as Record<string, Float64Array>;
  const differences = relus.flatMap((k) =>
    ['lower', 'upper'].map((side) =>
      distance(made[`rows ${side} ${k}`] as Float64Array, made[`dense ${side} ${k}`] as Float64Array),
    ),
  );
  const shapes = withCapacities(stages).flatMap((stage) =>
    stage.kind === 'rows' ? [stage.shape[0] * stage.shape[1]] : [],
  );
  return {
    difference: Math.max(0, ...differences),
    stages: shapes.length,
    neurons: shapes.reduce((a, b) => a + b, 0),
  };
}

/** Sizes of programs that a few dozen rows fill more than once. */
const splits = fc.constantFrom([1, 4, 16], [8], [2, 7]);

describe('bounds by rows over receptive fields', () => {
  it.each([
    ['two or three convolutions and linear layers', convolutionalNetworks({ min: 2, max: 3 }), 25],
    ['linear layers', denseNetworks, 10],
  ] as const)(
    'equal dense back-substitution for %s, with any split into programs',
    async (_, networks, runs) => {
      let stages = 0;
      await fc.assert(
        fc.asyncProperty(
          networks,
          fc.nat(),
          fc.constantFrom(0.05, 0.3),
          fc.boolean(),
          splits,
          async (net, seed, epsilon, all, capacities) => {
            const compared = await compare(net, seed, epsilon, all, capacities);
            expect(compared.difference).toBeLessThan(1e-12);
            stages += compared.stages;
          },
        ),
        { numRuns: runs },
      );
      expect(stages).toBeGreaterThan(0);
    },
  );

  it('equal it at the sizes chosen by themselves, with more rows than the largest program holds', async () => {
    const input: Extents = [1, 6, 6];
    const first = convolutionLayer(input, { channels: 4, kernel: [3, 2], padding: [1, 1, 1, 0] });
    const second = convolutionLayer(first.output, { channels: 40, kernel: [3, 3], padding: [1, 1, 1, 1] });
    const net = chain('wide', input, [
      first,
      reluLayer(first.output),
      second,
      reluLayer(second.output),
      linearLayer(second.output, 2),
    ]);
    const { difference, neurons } = await compare(net, 1, 0.2, true);
    expect(difference).toBeLessThan(1e-12);
    expect(neurons).toBeGreaterThan(4096);
  });

  const strided = (channels: number, kernel: number, stride: number) => (from: Extents) =>
    convolutionLayer(from, { channels, kernel: [kernel, kernel], stride: [stride, stride], padding: PADDED });
  it.each([
    ['overlapping lines', [strided(6, 5, 2), strided(3, 4, 2)]],
    ['lines that no tap sees', [strided(12, 2, 3), strided(2, 4, 2)]],
    ['an odd number of lines', [strided(30, 4, 1), strided(2, 3, 2)]],
    ['three convolutions', [strided(4, 5, 1), strided(20, 3, 1), strided(2, 3, 2)]],
    ['such lines before too large a matrix', [strided(20, 5, 1), strided(20, 2, 3), strided(2, 2, 1)]],
    ['too large a matrix in front', [strided(16, 5, 1), strided(8, 4, 1), strided(2, 3, 1)]],
  ] as const)('equal it in bands of windows, with %s', async (name, convolutions) => {
    const input: Extents = [2, 9, 8];
    const layers: Layer[] = [];
    let extents = input;
    for (const convolution of convolutions) {
      const layer = convolution(extents);
      extents = layer.output;
      layers.push(layer, reluLayer(extents));
    }
    const net = chain(name, input, [...layers, linearLayer(extents, 2)]);
    const target = layers.at(-2) as AffineLayer;
    const region = startRegion(target);
    expect(startBands(region, layers.at(-4) as AffineLayer)).toHaveLength(2);
    for (const all of [false, true])
      expect((await compare(net, 3, 0.1, all, [16])).difference).toBeLessThan(1e-12);
  });

  const image: Extents = [2, 3, 4];
  const vector: Extents = [24, 1, 1];
  const conv = convolutionLayer(image, { channels: 2, kernel: [3, 3], padding: [1, 1, 1, 1] });
  const normal = (extents: Extents) =>
    normalizeLayer(extents, {
      mean: Array.from({ length: extents[0] }, (_, c) => 0.2 * (c % 4)),
      std: Array.from({ length: extents[0] }, () => 0.5),
    });
  const middles: [string, Layer[]][] = [
    ['two convolutions without a ReLU between', [conv, reluLayer(image), conv, conv, reluLayer(image)]],
    [
      'two linear layers without a ReLU between',
      [conv, reluLayer(image), conv, reluLayer(image), linearLayer(image, 5), linearLayer([5, 1, 1], 6)],
    ],
    ['an element-wise layer before a ReLU', [conv, reluLayer(image), scaleLayer(image), reluLayer(image)]],
    [
      'an element-wise layer between convolutions',
      [conv, reluLayer(image), scaleLayer(image), conv, reluLayer(image)],
    ],
    [
      'an element-wise layer before a linear one',
      [
        conv,
        reluLayer(image),
        conv,
        reluLayer(image),
        scaleLayer(image),
        linearLayer(image, 6),
        reluLayer([6, 1, 1]),
      ],
    ],
    [
      'normalisation within',
      [
        conv,
        reluLayer(image),
        conv,
        reluLayer(image),
        normal(image),
        linearLayer(image, 6),
        reluLayer([6, 1, 1]),
      ],
    ],
    ['normalisation before a ReLU', [conv, reluLayer(image), normal(image), reluLayer(image)]],
    [
      'a convolution behind a linear layer',
      [linearLayer(image, 24), reluLayer(vector), conv, reluLayer(image), conv, reluLayer(image)],
    ],
    ['a ReLU of the input', [reluLayer(image), conv, reluLayer(image), conv, reluLayer(image)]],
  ];
  it.each(middles)('equal it for chains with %s', async (name, layers) => {
    const extents = layers.at(-1)?.output as Extents;
    const net = chain(name, image, [
      ...layers,
      ...(layers.at(-1)?.kind === 'relu' ? [] : [reluLayer(extents)]),
      linearLayer(extents, 3),
    ]);
    for (const seed of [1, 2])
      expect((await compare(net, seed, 0.3, seed === 1, [16])).difference).toBeLessThan(1e-12);
  });
});
