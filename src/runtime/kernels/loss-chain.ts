/**
 * The chain of layers whose certified loss the loss kernel computes, as numbers (`native/loss.h` reads them),
 * and the check of every array against it: the kernel itself checks no bounds.
 */
import { type Convolution, featuresOf, paddedFeaturesOf, weightsOf } from './convolution.js';
import type { EncodedChain } from './row-chain.js';

/** A convolution with a ReLU behind it; a linear layer is one whose kernel is its whole input. */
export interface LossLayer extends Convolution {
  /** Names of its arrays. */
  readonly weight: string;
  readonly bias: string;
}

/** Relaxations whose bounds the kernel computes, by their number in it. */
export const KERNEL_RELAXATIONS = ['ibp', 'crown-ibp', 'crown'] as const;
const NATURAL = ['none', 'accuracy', 'loss'] as const;

/** What the kernel computes, as plain data. */
export interface KernelLoss {
  readonly relaxation: (typeof KERNEL_RELAXATIONS)[number];
  /** What of the natural forward pass is computed. */
  readonly natural: (typeof NATURAL)[number];
  /** Whether boxes are cut to [0, 1]. */
  readonly clip: boolean;
  /** Images of a micro-batch. */
  readonly batch: number;
  /** From the input to the logits, a ReLU between each two. */
  readonly layers: readonly LossLayer[];
  /** With CROWN the rows of each hidden layer but the first. */
  readonly chains: readonly EncodedChain[];
  /** Scale and shift of each channel of the input; empty for none. */
  readonly normalization: readonly number[];
  /** γ₁, weight of Σ|W|. */
  readonly l1: number;
  /** Whether the warm-up regulariser is part of the loss. */
  readonly warmup: boolean;
  /** Multiply-adds of a member on a micro-batch, roughly. */
  readonly work: number;
}

function refuse(what: string): never {
  throw new RangeError(`loss kernel: expected ${what}; use the programs of ONNX Runtime`);
}

/** Numbers of the largest array of a layer: its input with zeros around it, its output or its weights. */
const largestArray = (layer: LossLayer): number =>
  Math.max(paddedFeaturesOf(layer), featuresOf(layer.output), weightsOf(layer));

/** What a vector of images and its weights take of memory stays small against what programs take. */
const MOST_NUMBERS = 2 ** 21;

/** Whether layers are small enough for the kernel: what is larger runs in programs. */
export const lossFits = (layers: readonly LossLayer[]): boolean =>
  layers.every((layer) => largestArray(layer) <= MOST_NUMBERS);

function checkLayer(layer: LossLayer, from: LossLayer | undefined): void {
  const { input, output, kernel, stride, padding } = layer;
  const whole = [...input, ...output, ...kernel, ...stride].every((n) => Number.isInteger(n) && n >= 1);
  const isPadding = padding.every((n) => Number.isInteger(n) && n >= 0);
  if (!whole || !isPadding) refuse(`layers of whole, positive extents, got ${JSON.stringify(layer)}`);
  if (from?.output.some((n, i) => n !== input[i]))
    refuse(`an input of ${from.output.join('×')}, got ${input.join('×')}`);
  if (!lossFits([layer])) refuse(`layers of at most ${MOST_NUMBERS} numbers, got ${largestArray(layer)}`);
}

/** @throws RangeError in one line where shapes do not go together */
export function checkLoss({ layers, chains, batch, relaxation, normalization }: KernelLoss): void {
  if (!Number.isInteger(batch) || batch < 1) refuse(`a batch of 1 image at least, got ${batch}`);
  for (const [i, layer] of layers.entries()) checkLayer(layer, layers[i - 1]);
  const last = layers.at(-1);
  if (last?.output[1] !== 1 || last.output[2] !== 1) refuse('a last layer that gives logits');
  const rows = relaxation === 'crown' ? Math.max(0, layers.length - 2) : 0;
  if (chains.length !== rows) refuse(`${rows} chains of rows, got ${chains.length}`);
  for (const [i, { ints, sizes }] of chains.entries()) {
    const expected = rowSizes(layers.slice(0, i + 2), batch);
    if (expected.length !== sizes.length || expected.some((n, k) => n !== sizes[k]))
      refuse(`rows of arrays of ${expected.join(', ')} numbers, got ${sizes.join(', ')}`);
    const [images, channels, ...grid] = ints;
    const output = layers[i + 1]?.output;
    const isSame = channels === output?.[0] && grid[0] === output?.[1] && grid[1] === output?.[2];
    if (images !== batch || !isSame) refuse('rows of the hidden layers');
  }
  const channels = layers[0]?.input[0] as number;
  if (normalization.length !== 0 && normalization.length !== 2 * channels)
    refuse(`scale and shift of ${channels} channels, got ${normalization.length} numbers`);
}

/** Lengths of the arrays that rows of the last of these layers read, by position. */
function rowSizes(layers: readonly LossLayer[], batch: number): number[] {
  const [own, ...before] = layers.toReversed() as [LossLayer, ...LossLayer[]];
  const of = (layer: LossLayer) => [weightsOf(layer), layer.output[0]];
  const box = batch * featuresOf((layers[0] as LossLayer).input);
  const steps = before.flatMap((layer) => {
    const lines = batch * featuresOf(layer.output);
    return [lines, lines, lines, ...of(layer)];
  });
  return [...of(own), ...steps, box, box];
}

/** Where the parameter arrays of members lie: in each, `offsets` has a number for each name. */
export interface MemberPoints {
  /** [members, coordinates]. */
  readonly points: Float32Array | Float64Array;
  readonly coordinates: number;
  readonly offsets: Readonly<Record<string, number>>;
}

/** The chain in numbers, for `parts` micro-batches. */
export function encodeLoss(
  loss: KernelLoss,
  parts: number,
  hasRegularizer: boolean,
  { offsets, coordinates }: MemberPoints,
): Int32Array {
  const at = (name: string, size: number): number => {
    const offset = offsets[name];
    if (offset === undefined || !(offset >= 0 && offset + size <= coordinates))
      refuse(`${size} numbers of ${name} within ${coordinates}, got them at ${offset}`);
    return offset;
  };
  return Int32Array.from([
    KERNEL_RELAXATIONS.indexOf(loss.relaxation),
    NATURAL.indexOf(loss.natural),
    Number(loss.clip),
    loss.batch,
    parts,
    Number(loss.normalization.length > 0),
    Number(loss.l1 > 0),
    Number(hasRegularizer),
    loss.layers.length,
    ...loss.layers.flatMap((layer) => {
      const shape = [...layer.input, ...layer.output, ...layer.kernel, ...layer.stride, ...layer.padding];
      return [...shape, at(layer.weight, weightsOf(layer)), at(layer.bias, layer.output[0])];
    }),
  ]);
}
