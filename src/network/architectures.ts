/**
 * The field's architectures by name, and others by description, for any input shape and number of classes.
 * ReLU after every layer but the last.
 */
import { describedSteps, faultOf, type Step, stepText } from './architecture-description.js';
import { batchNormLayer, withoutBias } from './layers/batch-norm.js';
import { convolutionLayer } from './layers/convolution.js';
import { type AffineLayer, type Extents, type Layer, reluLayer } from './layers/layer.js';
import { linearLayer } from './layers/linear.js';
import { type Normalization, normalizeLayer } from './layers/normalize.js';
import { chain, type Network } from './network.js';

const conv = (channels: number, kernel: number, stride: number, padding: number): Step => ({
  conv: [channels, kernel, stride, padding],
});
const linear = (outputs: number): Step => ({ linear: outputs });

const cnn3 = (w: number, classes: number): Step[] => [
  conv(w, 5, 2, 2),
  conv(2 * w, 4, 2, 1),
  linear(classes),
];
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
  cnn3: (classes: number) => cnn3(16, classes),
  'cnn3-bn': (classes: number) => normalized(cnn3(16, classes)),
  'cnn3-narrow': (classes: number) => cnn3(4, classes),
  cnn5: (classes: number) => cnn5(16, classes),
  'cnn5-l': (classes: number) => cnn5(64, classes),
  cnn7,
  'cnn7-bn': (classes: number) => normalized(cnn7(classes)),
} satisfies Record<string, (classes: number) => Step[]>;

/** Names of the architectures that papers use, such as `cnn3`. */
export type ArchitectureName = keyof typeof architectures;
export const architectureNames = Object.keys(architectures) as ArchitectureName[];

const isName = (text: string): text is ArchitectureName => Object.hasOwn(architectures, text);

/** Whether a text is the name of an architecture or describes one. */
export const isArchitecture = (text: string): boolean => isName(text) || faultOf(text) === undefined;

/**
 * Layers of an architecture by its name, such as `cnn3`, or by a description of its layers (see
 * `architecture-description`); a normalisation, where given, becomes the first layer.
 * @throws RangeError naming the layer that does not fit what it reads
 */
export function architecture(
  name: string,
  input: Extents,
  classes: number,
  normalization?: Normalization,
): Network {
  const layers: Layer[] = normalization ? [normalizeLayer(input, normalization)] : [];
  let extents = input;
  const steps = isName(name) ? architectures[name](classes) : describedSteps(name, classes);
  steps.forEach((step, i) => {
    const layer = layerOf(step, extents, i);
    extents = layer.output;
    if (step.batchNorm) layers.push(withoutBias(layer), batchNormLayer(extents));
    else layers.push(layer);
    if (i < steps.length - 1) layers.push(reluLayer(extents));
  });
  return chain(name, input, layers);
}

/** The layer of number `index`. @throws RangeError that names it */
function layerOf(step: Step, input: Extents, index: number): AffineLayer {
  if ('linear' in step) return linearLayer(input, step.linear);
  const [channels, kernel, stride, padding] = step.conv;
  try {
    return convolutionLayer(input, {
      channels,
      kernel: [kernel, kernel],
      stride: [stride, stride],
      padding: [padding, padding, padding, padding],
    });
  } catch (error) {
    throw new RangeError(`layer ${index + 1}, ${stepText(step)}: ${(error as Error).message}`);
  }
}
