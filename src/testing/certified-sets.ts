/**
 * Small networks with images to certify, for tests: random weights, and labels that the network itself gives
 * to most images.
 */
import type { Split } from '../data/dataset.js';
import { input, transpose } from '../graph/index.js';
import { convolutionLayer } from '../network/layers/convolution.js';
import { featuresOf, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { normalizeLayer } from '../network/layers/normalize.js';
import { chain, logits, type Network, parameterInputs } from '../network/network.js';
import type { ParameterArrays } from '../network/parameters.js';
import { exact } from '../relaxation/solver/exact.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { createPlan } from '../runtime/plan/compile.js';
import { ballAround } from '../verification/property/robustness.js';
import { boundProblem, runStages } from './bound-programs.js';
import { uniformNumbers } from './numbers.js';
import { randomParameters } from './random-networks.js';

export interface CertifiedSet {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  readonly split: Split;
}

const convolution = convolutionLayer([1, 5, 5], {
  channels: 3,
  kernel: [3, 3],
  stride: [1, 1],
  padding: [1, 1, 1, 1],
});

/** 5×5 pixels, a convolution, a hidden layer, three classes. */
export const smallNetwork: Network = chain(
  'small',
  [1, 5, 5],
  [
    normalizeLayer([1, 5, 5], { mean: [0.4], std: [0.5] }),
    convolution,
    reluLayer(convolution.output),
    linearLayer(convolution.output, 12),
    reluLayer([12, 1, 1]),
    linearLayer([12, 1, 1], 3),
  ],
);

/**
 * Logits [classes, count] of images x [count, features], in float64: another arithmetic than what is tested
 * runs in.
 */
export async function doubleLogits(
  net: Network,
  parameters: ParameterArrays,
  x: ArrayLike<number>,
): Promise<Float64Array> {
  const features = featuresOf(net.input);
  const plan = createPlan([
    {
      kind: 'whole',
      outputs: {
        logits: logits(
          net,
          parameterInputs(net, 'float64'),
          transpose(input('x', [x.length / features, features], 'float64')),
        ),
      },
    },
  ]);
  const executor = createExecutor();
  try {
    const weights = Object.fromEntries(
      Object.entries(parameters).map(([name, array]) => [name, Float64Array.from(array)]),
    );
    return (await executor.run(plan, { ...weights, x: Float64Array.from(x) })).outputs.logits as Float64Array;
  } finally {
    await executor.close();
  }
}

/** f_y − max over j ≠ y of f_j for each column. */
export function marginsOf(values: Float64Array, labels: ArrayLike<number>): number[] {
  const count = labels.length;
  return Array.from(labels, (label, i) => {
    const column = Array.from({ length: values.length / count }, (_, j) => values[j * count + i] as number);
    return (column[label] as number) - Math.max(...column.filter((_, j) => j !== label));
  });
}

/** `count` random images; one in eight has a label that the network does not give it. */
export async function certifiedSet(seed: number, count: number): Promise<CertifiedSet> {
  const network = smallNetwork;
  const features = featuresOf(network.input);
  const parameters = Object.fromEntries(
    Object.entries(randomParameters(network, seed)).map(([name, array]) => [name, Float32Array.from(array)]),
  );
  const images = Uint8Array.from(uniformNumbers(`images ${seed}`, count * features), (u) =>
    Math.floor(256 * u),
  );
  const values = await doubleLogits(
    network,
    parameters,
    Float64Array.from(images, (byte) => Math.fround(byte / 255)),
  );
  const labels = Uint8Array.from({ length: count }, (_, i) => {
    const column = [0, 1, 2].map((j) => values[j * count + i] as number);
    return (column.indexOf(Math.max(...column)) + (i % 8 === 7 ? 1 : 0)) % 3;
  });
  return { network, parameters, split: { images, labels, count } };
}

/** Pixels of one image in [0, 1]. */
export function imageOf({ network, split }: CertifiedSet, index: number): Float32Array {
  const features = featuresOf(network.input);
  return Float32Array.from(
    split.images.subarray(index * features, (index + 1) * features),
    (byte) => byte / 255,
  );
}

/** The exact least margin of an image over its ball, in float64, by mixed-integer programming. */
export async function exactMargin(set: CertifiedSet, image: number, epsilon: number): Promise<number> {
  const { network, parameters, split } = set;
  const { stages, margins } = exact.bound(boundProblem(network, 1));
  const weights = Object.fromEntries(
    Object.entries(parameters).map(([name, array]) => [name, Float64Array.from(array)]),
  );
  const { lower, upper } = ballAround(imageOf(set, image), { epsilon, clip: true });
  const feeds = { ...weights, lower, upper, labels: Int32Array.of(split.labels[image] as number) };
  const results = await runStages([...stages, { kind: 'whole', outputs: { margins } }], [feeds]);
  return Math.min(...results.flatMap(({ outputs }) => Array.from(outputs.margins as Float64Array)));
}
