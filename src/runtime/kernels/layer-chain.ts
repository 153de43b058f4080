/**
 * A chain of layers that the interval kernel carries values or intervals through, as numbers
 * (`native/layers.h` reads them), and the check of every array against it: the kernel itself checks no
 * bounds.
 */
import { type Convolution, featuresOf, paddedFeaturesOf, weightsOf } from './convolution.js';

/** y = W ∗ x + b, then perhaps the ReLU; a linear layer reads [features, 1, 1] with a kernel of 1 × 1. */
export interface KernelLayer extends Convolution {
  readonly relu: boolean;
  /** Positions of its arrays. */
  readonly weight: number;
  readonly bias: number | undefined;
  /**
   * Positions of what the caller sees, [features, batch]: lower and upper bounds, or the value alone, of the
   * layer's sums and of what its ReLU passes.
   */
  readonly sums: readonly (number | undefined)[];
  readonly passed: readonly (number | undefined)[];
  /** Position of the moments of its sums' bounds (`MOMENTS`), where the caller sees them. */
  readonly moments?: number;
}

export interface LayerChain {
  readonly batch: number;
  /** Positions of the input's values, or of its lower and upper bounds. */
  readonly input: readonly [value: number] | readonly [lower: number, upper: number];
  readonly layers: readonly KernelLayer[];
  /** Position of the images' weights in moments, [batch]; where a layer has moments. */
  readonly present?: number;
}

/**
 * Sums of a layer's bounds [l, u] with centres c = (l + u)/2, over features and weighted images: of widths
 * u − l; of c where l > 0, and where u < 0; of (c − m)² where l > 0, and where u < 0, m the mean centre.
 */
export const MOMENTS = 5;

/** The chain for the kernel, the length that each of its arrays must have, and that of what it stores. */
export interface EncodedLayers {
  readonly ints: Int32Array;
  readonly sizes: readonly number[];
  readonly stored: number;
}

/** Numbers that the kernel stores at most: offsets are of 32 bits. */
export const MOST_STORED = 2 ** 30;
/** Numbers of the widest vector: images are padded to a multiple, and arrays to an address. */
const WIDEST_VECTOR = 16;
/** Numbers of each layer that the derivative of moments needs. */
const MOMENT_TOTALS = 5;

function refuse(what: string): never {
  throw new RangeError(`interval kernel: expected ${what}; use the programs of ONNX Runtime`);
}

function checkLayer({ input, output, kernel, stride, padding }: KernelLayer): void {
  const counts = [...input, ...output, ...kernel, ...stride];
  if (!counts.every((n) => Number.isInteger(n) && n >= 1))
    refuse(`extents, kernel and stride of whole, positive numbers, got ${counts.join(', ')}`);
  const small = [...kernel, ...stride, ...padding, ...input.slice(1), ...output.slice(1)];
  if (!small.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 15))
    refuse(`sides, kernel, stride and padding below 32768, got ${small.join(', ')}`);
  const sizes = [input, output].map(featuresOf);
  if (sizes.some((n) => n > MOST_STORED)) refuse(`at most 2³⁰ features of a layer, got ${sizes.join(', ')}`);
}

/** Cotangents of a layer's sums with the zeros around them that its adjoint reads, along one side. */
const widened = ({ input, output, kernel, stride, padding }: KernelLayer, side: 0 | 1): number =>
  Math.ceil(kernel[side] / stride[side]) +
  Math.max(
    output[side + 1] as number,
    Math.floor((padding[side] + (input[side + 1] as number)) / stride[side]) + 1,
  );

/** Whether a layer reads features as a vector and gives a vector: their order is all that counts. */
export const isMatrix = ({ input, output, kernel, padding }: Convolution): boolean =>
  [...input.slice(1), ...output.slice(1), ...kernel].every((n) => n === 1) && padding.every((n) => n === 0);

function checkOrder(layers: readonly KernelLayer[]): void {
  for (const [k, layer] of layers.entries()) {
    const before = layers[k - 1]?.output;
    if (before === undefined) continue;
    const { input } = layer;
    const fits =
      before.every((n, i) => n === input[i]) || (featuresOf(before) === featuresOf(input) && isMatrix(layer));
    if (!fits) refuse(`a layer that reads ${before.join('×')}, got ${input.join('×')}`);
  }
}

function checkMoments(layers: readonly KernelLayer[], planes: number, present: number | undefined): void {
  if (layers.length === 0) return;
  if (planes !== 2 || present === undefined) refuse('moments of bounds, and the weights of images in them');
  if (layers.some(({ relu }) => !relu)) refuse('moments of what a ReLU reads');
}

/** Lengths of arrays by their positions, and positions as the kernel reads them. */
class Positions {
  readonly sizes: number[] = [];

  of(position: number | undefined, size: number): number {
    if (position === undefined) return -1;
    if (!Number.isInteger(position) || position < 0) refuse(`positions of arrays, got ${position}`);
    if (this.sizes[position] !== undefined) refuse(`one array at each position, got two at ${position}`);
    this.sizes[position] = size;
    return position;
  }
}

/** The chain in numbers; an error of one line where its shapes do not go together. */
export function encodeLayers({ batch, input, layers, present }: LayerChain): EncodedLayers {
  const [first, last] = [layers[0], layers.at(-1)];
  if (first === undefined || last === undefined) refuse('a layer at least, got none');
  if (!Number.isInteger(batch) || batch < 1 || batch > MOST_STORED) refuse(`a batch, got ${batch}`);
  layers.forEach(checkLayer);
  checkOrder(layers);
  const planes = input.length;
  const stored = [...layers.map(paddedFeaturesOf), featuresOf(last.output)];
  const images = Math.ceil(batch / WIDEST_VECTOR) * WIDEST_VECTOR;
  const withMoments = layers.filter(({ moments }) => moments !== undefined);
  checkMoments(withMoments, planes, present);
  const centres = withMoments.map((l) => featuresOf(l.output)).reduce((a, b) => a + b, 0);
  const totals = withMoments.length > 0 ? layers.length * MOMENT_TOTALS : 0;
  const numbers = (stored.reduce((a, b) => a + b) * planes + centres) * images + totals + WIDEST_VECTOR;
  const cotangents = layers.map((l) => l.output[0] * widened(l, 0) * widened(l, 1) * planes * images);
  const weights = layers.map(weightsOf);
  const most = Math.max(numbers, ...cotangents, ...weights.map((n) => n * planes * WIDEST_VECTOR));
  if (most > MOST_STORED) refuse(`at most 2³⁰ numbers to be stored, got ${most}`);
  const positions = new Positions();
  const seen = (of: readonly (number | undefined)[], features: number): number[] =>
    Array.from({ length: 2 }, (_, end) => {
      if (end >= planes && of[end] !== undefined) refuse('one value of a layer to be seen, got bounds');
      return positions.of(of[end], features * batch);
    });
  const box = Array.from({ length: 2 }, (_, end) =>
    positions.of(input[end], featuresOf(first.input) * batch),
  );
  const there = positions.of(present, batch);
  const body = layers.flatMap((l, k) => [
    ...[...l.input, ...l.output, ...l.kernel, ...l.stride, ...l.padding, l.relu ? 1 : 0],
    positions.of(l.weight, weights[k] as number),
    positions.of(l.bias, l.output[0]),
    ...seen(l.sums, featuresOf(l.output)),
    ...seen(l.passed, featuresOf(l.output)),
    positions.of(l.moments, MOMENTS),
  ]);
  const { sizes } = positions;
  if (Array.from(sizes).some((n) => n === undefined)) refuse('an array at every position');
  return { ints: Int32Array.from([batch, planes, ...box, there, ...body]), sizes, stored: numbers };
}
