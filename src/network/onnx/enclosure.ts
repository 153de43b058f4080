/**
 * Intervals of draft nodes at given inputs, in float64 with a running bound of all rounding errors.
 *
 * A feature is v ± e: v as float64 computes it, e so large that the file's real-number function is enclosed
 * at all inputs within their own errors. Sums of n terms are off by (n + 8) u Σ|terms| at most, u = 2⁻⁵³,
 * where 8 is room for the roundings of folded weights and of e itself (Higham 2002, §3.1).
 */
import { featuresOf } from '../layers/layer.js';
import { INPUT } from '../network.js';
import type { Draft, DraftNode, DraftWeights } from './draft.js';

/** Values and how far they may be off. */
export interface Enclosed {
  readonly values: Float64Array;
  readonly errors: Float64Array;
}

const UNIT = 2 ** -53;
/** Roundings beside those of a sum. */
const ROUNDINGS = 8;
/** Sums of errors are rounded, too, and a product may underflow. */
const [SLACK, UNDERFLOW] = [1 + 2 ** -20, 2 ** -1070];
/** Error of sigmoid and tanh as the engine computes them: their values are below 1. */
const EXPONENTIAL = 2 ** -46;

/** One feature as a sum. */
class Sum {
  value = 0;
  #terms = 0;
  #error = 0;
  #count = 0;

  add(factor: number, value: number, error: number): void {
    const term = factor * value;
    this.value += term;
    this.#terms += Math.abs(term);
    this.#error += Math.abs(factor) * error;
    this.#count++;
  }

  error(): number {
    const { value } = this;
    const rounding = (this.#count + ROUNDINGS) * UNIT * this.#terms;
    const error = (this.#error + rounding) * SLACK + (this.#count + 1) * UNDERFLOW;
    return Number.isFinite(value) ? error : Number.POSITIVE_INFINITY;
  }
}

/** Enclosures of draft nodes at inputs that lie within their errors. */
export function enclosures(draft: Draft, nodes: readonly number[], input: Enclosed): Enclosed[] {
  const known = new Map<number, Enclosed>([[INPUT, input]]);
  for (const node of coneOf(draft, nodes)) {
    const of = draft[node] as DraftNode;
    known.set(
      node,
      enclosed(
        of,
        of.inputs.map((from) => known.get(from) as Enclosed),
      ),
    );
  }
  return nodes.map((node) => known.get(node) as Enclosed);
}

/** The nodes and what they depend on, inputs before readers. */
function coneOf(draft: Draft, nodes: readonly number[]): number[] {
  const needed = new Set(nodes);
  for (let node = Math.max(...nodes); node >= 0; node--)
    if (needed.has(node)) for (const from of draft[node]?.inputs ?? []) needed.add(from);
  needed.delete(INPUT);
  return [...needed].sort((a, b) => a - b);
}

/** Inputs that nodes depend on; undefined where some node reads them all. */
export function inputsOf(draft: Draft, nodes: readonly number[]): number[] | undefined {
  const found = new Set<number>();
  for (const number of coneOf(draft, nodes)) {
    const node = draft[number] as DraftNode;
    if (!node.inputs.includes(INPUT)) continue;
    if (node.kind !== 'selection' && node.kind !== 'pooling') return undefined;
    for (const input of node.kind === 'selection' ? node.view.table : node.table)
      if (input >= 0) found.add(input);
  }
  return [...found].sort((a, b) => a - b);
}

function features(count: number, make: (i: number) => readonly [number, number]): Enclosed {
  const [values, errors] = [new Float64Array(count), new Float64Array(count)];
  for (let i = 0; i < count; i++) [values[i], errors[i]] = make(i) as [number, number];
  return { values, errors };
}

const at = ({ values, errors }: Enclosed, i: number): readonly [number, number] => [
  values[i] as number,
  errors[i] as number,
];

/** Feature by feature, what a node makes of what it reads. */
function enclosed(node: DraftNode, inputs: readonly Enclosed[]): Enclosed {
  const [x, other] = inputs as [Enclosed, Enclosed];
  const count = featuresOf(node.output);
  const summed = (terms: (i: number, sum: Sum) => void): Enclosed =>
    features(count, (i) => {
      const sum = new Sum();
      terms(i, sum);
      return [sum.value, sum.error()];
    });
  switch (node.kind) {
    case 'selection':
      return features(count, (i) => {
        const from = node.view.table[i] as number;
        return from < 0 ? [node.view.constants?.[i] ?? 0, 0] : at(x, from);
      });
    case 'relu':
      return features(count, (i) => [Math.max(0, x.values[i] as number), x.errors[i] as number]);
    case 'smooth':
      return features(count, (i) => smooth(node.function, ...at(x, i)));
    case 'join':
      return summed((i, sum) => {
        for (const one of inputs) add(sum, 1, one, i);
      });
    case 'pooling': {
      const terms = node.table.length / count;
      return summed((i, sum) => {
        for (const from of node.table.subarray(i * terms, (i + 1) * terms))
          if (from >= 0) add(sum, node.factors[i] as number, x, from);
      });
    }
    case 'scale':
      return summed((i, sum) => {
        add(sum, node.weight[i] as number, x, i);
        addBias(sum, node, i);
      });
    case 'product':
      return features(count, (i) => product(at(x, i), at(other, i)));
    case 'quotient':
      return features(count, (i) => quotient(at(x, i), at(other, i)));
    case 'linear': {
      const width = x.values.length;
      return summed((i, sum) => {
        for (let k = 0; k < width; k++) add(sum, node.weight[i * width + k] as number, x, k);
        addBias(sum, node, i);
      });
    }
    case 'convolution':
      return convolved(node, x, summed);
    case 'transposed':
      throw new RangeError('enclosures: expected no transposed convolution');
  }
}

/** A term; exact zeros, of which one-hot features and ReLUs have many, add nothing. */
function add(sum: Sum, factor: number, { values, errors }: Enclosed, i: number): void {
  const [value, error] = [values[i] as number, errors[i] as number];
  if (value !== 0 || error !== 0) sum.add(factor, value, error);
}

function addBias(sum: Sum, { bias, biasLow }: DraftWeights, i: number): void {
  sum.add(1, bias[i] as number, Math.abs(biasLow?.[i] ?? 0));
}

function convolved(
  node: Extract<DraftNode, { kind: 'convolution' }>,
  x: Enclosed,
  summed: (terms: (i: number, sum: Sum) => void) => Enclosed,
): Enclosed {
  const [inputs, height, width] = node.input;
  const { channels, groups = 1, kernel, stride = [1, 1], dilation = [1, 1] } = node.geometry;
  const { padding = [0, 0, 0, 0] } = node.geometry;
  const [, rows, columns] = node.output;
  const each = inputs / groups;
  return summed((i, sum) => {
    const [o, row, column] = [Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns];
    const first = Math.floor((o * groups) / channels) * each;
    for (let k = 0; k < each; k++)
      for (let p = 0; p < kernel[0]; p++)
        for (let q = 0; q < kernel[1]; q++) {
          const y = row * stride[0] + p * dilation[0] - padding[0];
          const z = column * stride[1] + q * dilation[1] - padding[1];
          if (y < 0 || y >= height || z < 0 || z >= width) continue;
          const weight = node.weight[((o * each + k) * kernel[0] + p) * kernel[1] + q] as number;
          add(sum, weight, x, ((first + k) * height + y) * width + z);
        }
    addBias(sum, node, o);
  });
}

type Feature = readonly [value: number, error: number];

/** Both functions have slopes of at most 1 and values of at most 1. */
const smooth = (name: 'sigmoid' | 'tanh', value: number, error: number): Feature => [
  name === 'tanh' ? Math.tanh(value) : 1 / (1 + Math.exp(-value)),
  (error + EXPONENTIAL) * SLACK,
];

function product([a, ea]: Feature, [b, eb]: Feature): Feature {
  const value = a * b;
  const error = Math.abs(a) * eb + Math.abs(b) * ea + ea * eb + ROUNDINGS * UNIT * Math.abs(value);
  return [value, error * SLACK + UNDERFLOW];
}

/** |a'/b' − a/b| ≤ (ea + |a/b| eb)/(|b| − eb). */
function quotient([a, ea]: Feature, [b, eb]: Feature): Feature {
  const value = a / b;
  const least = Math.abs(b) - eb;
  if (!(least > 0) || !Number.isFinite(value)) return [0, Number.POSITIVE_INFINITY];
  const error = (ea + Math.abs(value) * eb) / least + ROUNDINGS * UNIT * Math.abs(value);
  return [value, error * SLACK + UNDERFLOW];
}
