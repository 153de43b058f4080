/**
 * The field's architectures by name, for any input shape and number of classes. ReLU after every layer but
 * the last.
 */
import { batchNormLayer, withoutBias } from './layers/batch-norm.js';
import { convolutionLayer } from './layers/convolution.js';
import { type AffineLayer, type Extents, type Layer, reluLayer } from './layers/layer.js';
import { linearLayer } from './layers/linear.js';
import { type Normalization, normalizeLayer } from './layers/normalize.js';
import { chain, type Network } from './network.js';

type Step = (
  | { readonly conv: readonly [channels: number, kernel: number, stride: number, padding: number] }
  | { readonly linear: number }
) & {
  readonly batchNorm?: true;
};
const conv = (channels: number, kernel: number, stride: number, padding: number): Step => ({
  conv: [channels, kernel, stride, padding],
});
const linear = (outputs: number): Step => ({ linear: outputs });

const cnn3 = (classes: number): Step[] => [conv(16, 5, 2, 2), conv(32, 4, 2, 1), linear(classes)];
const cnn5 = (w: number, classes: number): Step[] => [
  conv(w, 3, 1, 1),
  conv(w, 4, 2, 1),
  conv(2 * w, 4, 2, 1),
  linear(512),
  linear(classes),
];
const cnn7 = (classes: number): Step[] => [
  ...[conv(64, 3, 1, 1), conv(64, 3, 1, 1), conv(128, 3, 2, 1), conv(128, 3, 1, 1), conv(128, 3, 1, 1)],
  ...[linear(512), linear(classes)],
];
/** Batch normalisation between every layer but the last and its ReLU. */
const normalized = (steps: readonly Step[]): Step[] =>
  steps.map((step, i) => (i < steps.length - 1 ? { ...step, batchNorm: true } : step));

const architectures = {
  fc: (classes: number) => [400, 200, 100, 100, classes].map(linear),
  'fc-small': (classes: number) => [100, 100, classes].map(linear),
  cnn3,
  'cnn3-bn': (classes: number) => normalized(cnn3(classes)),
  cnn5: (classes: number) => cnn5(16, classes),
  'cnn5-l': (classes: number) => cnn5(64, classes),
  cnn7,
  'cnn7-bn': (classes: number) => normalized(cnn7(classes)),
} satisfies Record<string, (classes: number) => Step[]>;

/** Names of the architectures that papers use, such as `cnn3`. */
export type ArchitectureName = keyof typeof architectures;
export const architectureNames = Object.keys(architectures) as ArchitectureName[];

/** Layers of a named architecture; a normalisation, where given, becomes the first layer. */
export function architecture(
  name: ArchitectureName,
  input: Extents,
  classes: number,
  normalization?: Normalization,
): Network {
  const layers: Layer[] = normalization ? [normalizeLayer(input, normalization)] : [];
  let extents = input;
  const steps: Step[] = architectures[name](classes);
  steps.forEach((step, i) => {
    const layer: AffineLayer =
      'linear' in step
        ? linearLayer(extents, step.linear)
        : convolutionLayer(extents, {
            channels: step.conv[0],
            kernel: [step.conv[1], step.conv[1]],
            stride: [step.conv[2], step.conv[2]],
            padding: [step.conv[3], step.conv[3], step.conv[3], step.conv[3]],
          });
    extents = layer.output;
    if (step.batchNorm) layers.push(withoutBias(layer), batchNormLayer(extents));
    else layers.push(layer);
    if (i < steps.length - 1) layers.push(reluLayer(extents));
  });
  return chain(name, input, layers);
}
