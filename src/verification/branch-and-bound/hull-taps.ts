/** Sides of hulls (`hull.ts`) as the margin kernel reads them: v on the taps of each neuron's convolution. */

import { asConvolution } from '../../network/layers/as-convolution.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type Network, type NetworkNode } from '../../network/network.js';
import { type Convolution, tapsOf } from '../../runtime/kernels/convolution.js';
import { SIDE_NUMBERS } from '../../runtime/kernels/margin-chain.js';
import { type Engine, type Floats, floats } from './engine.js';
import { TINY } from './hull.js';

/** Names of the arrays of ReLU k: of sides that are given, and of those that are to be chosen. */
const arraysOf = (node: number) => ({ weights: `hull taps:${node}`, numbers: `hull numbers:${node}` });
const choiceOf = (node: number) => ({ shares: `hull share taps:${node}`, numbers: `hull spans:${node}` });

/** The convolution that ReLU k reads; undefined where the kernel knows of none. */
function convolutionBefore(net: Network, node: number): Convolution | undefined {
  const before = (net.nodes[node] as NetworkNode).inputs[0] as number;
  const { layer, inputs } = net.nodes[before] as NetworkNode;
  const source = inputs[0] as number;
  const from = source === INPUT ? net.input : (net.nodes[source] as NetworkNode).layer.output;
  return layer.kind === 'affine' ? asConvolution(layer, from) : undefined;
}

/** Names and shapes of what the kernel reads of ReLU k; undefined where it does not know its convolution. */
export function sideArrays(net: Network, node: number) {
  const convolution = convolutionBefore(net, node);
  if (convolution === undefined) return undefined;
  const [given, chosen] = [arraysOf(node), choiceOf(node)];
  const neurons = featuresOf(convolution.output);
  const [onTaps, ofNumbers] = [
    [neurons, tapsOf(convolution)],
    [neurons, SIDE_NUMBERS],
  ];
  return {
    weights: { name: given.weights, shape: onTaps },
    numbers: { name: given.numbers, shape: ofNumbers },
    /** Of sides that are to be chosen: m on the taps, and l and u − l among the numbers. */
    shares: { name: chosen.shares, shape: onTaps },
    spans: { name: chosen.numbers, shape: ofNumbers },
    /** Where each input of each row lies among the numbers on taps; behind the last where it has none. */
    places: `hull places:${node}`,
  };
}

/** Rows of neurons whose sides are to be chosen. */
export interface ChoiceRows extends Pick<SideRows, 'index' | 'lower' | 'width'> {
  /** m, [inputs, rows]. */
  readonly shares: Floats;
}

/** What the kernel reads for a choice of sides: `shares`, `spans` and `places` of `sideArrays`. */
export function tapsToChoose(
  engine: Pick<Engine, 'network' | 'dtype'>,
  node: number,
  { index, lower, width, shares }: ChoiceRows,
): Record<string, Floats | Int32Array> {
  const convolution = convolutionBefore(engine.network, node);
  const arrays = sideArrays(engine.network, node);
  if (convolution === undefined || arrays === undefined) return {};
  const { output } = convolution;
  const [count, area, taps] = [index.length, output[1] * output[2], tapsOf(convolution)];
  const onTaps = floats(engine, featuresOf(output) * taps);
  const spans = floats(engine, featuresOf(output) * SIDE_NUMBERS);
  const inputsAt = inputsBy(convolution);
  const places = new Int32Array(shares.length).fill(onTaps.length);
  index.forEach((neuron, row) => {
    const pixel = neuron % area;
    const place = pixel * output[0] + Math.floor(neuron / area);
    inputsAt(pixel).forEach((from, tap) => {
      if (from < 0) return;
      onTaps[place * taps + tap] = shares[from * count + row] as number;
      places[from * count + row] = place * taps + tap;
    });
    spans.set([0, lower[row] as number, Math.max(width[row] as number, TINY), 0], place * SIDE_NUMBERS);
  });
  return { [arrays.shares.name]: onTaps, [arrays.spans.name]: spans, [arrays.places]: places };
}

/** Sides by rows, one for each neuron of `index`. */
export interface SideRows {
  readonly index: Int32Array;
  /** [inputs, rows]. */
  readonly v: Floats;
  readonly least: Floats;
  readonly reach: Floats;
  /** l and u − l. */
  readonly lower: ArrayLike<number>;
  readonly width: ArrayLike<number>;
}

/** The arrays of `sideArrays`, neurons pixel by pixel. */
export function sideFeeds(
  engine: Pick<Engine, 'network' | 'dtype'>,
  node: number,
  sides: SideRows,
): Record<string, Floats> {
  const convolution = convolutionBefore(engine.network, node);
  if (convolution === undefined) return {};
  const { output } = convolution;
  const [count, area] = [sides.index.length, output[1] * output[2]];
  const taps = tapsOf(convolution);
  const weights = floats(engine, featuresOf(output) * taps);
  const numbers = floats(engine, featuresOf(output) * SIDE_NUMBERS);
  const inputsAt = inputsBy(convolution);
  // Rows beyond those of open neurons repeat the first one.
  const seen = new Set<number>();
  sides.index.forEach((neuron, row) => {
    if (seen.has(neuron)) return;
    seen.add(neuron);
    const pixel = neuron % area;
    const place = pixel * output[0] + Math.floor(neuron / area);
    let left = nonZeros(sides.v, count, row);
    inputsAt(pixel).forEach((from, tap) => {
      if (from < 0) return;
      const value = sides.v[from * count + row] as number;
      weights[place * taps + tap] = value;
      if (value !== 0) left--;
    });
    if (left !== 0) throw new RangeError(`hulls: expected v on the taps of neuron ${neuron} alone, got more`);
    const own = [sides.reach, sides.lower, sides.width, sides.least].map((of) => of[row] as number);
    numbers.set(own, place * SIDE_NUMBERS);
  });
  const names = arraysOf(node);
  return { [names.weights]: weights, [names.numbers]: numbers };
}

/** How many inputs a side has coefficients of. */
function nonZeros(v: Floats, count: number, row: number): number {
  let found = 0;
  for (let i = row; i < v.length; i += count) if (v[i] !== 0) found++;
  return found;
}

/** The inputs of pixels, each found once. */
function inputsBy(convolution: Convolution): (pixel: number) => readonly number[] {
  const found = new Map<number, readonly number[]>();
  return (pixel) => {
    const inputs = found.get(pixel) ?? inputsOf(convolution, pixel);
    found.set(pixel, inputs);
    return inputs;
  };
}

/** The input of each tap of a pixel's outputs, in the order of weights; −1 in the padding. */
function inputsOf({ input, output, kernel, stride, padding }: Convolution, pixel: number): number[] {
  const [channels, height, width] = input;
  const top = Math.floor(pixel / output[2]) * stride[0] - padding[0];
  const left = (pixel % output[2]) * stride[1] - padding[1];
  const inputs: number[] = [];
  for (let c = 0; c < channels; c++)
    for (let y = top; y < top + kernel[0]; y++)
      for (let x = left; x < left + kernel[1]; x++) {
        const isInside = y >= 0 && y < height && x >= 0 && x < width;
        inputs.push(isInside ? (c * height + y) * width + x : -1);
      }
  return inputs;
}
