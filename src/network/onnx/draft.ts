/**
 * A network being read from ONNX: nodes whose weights may still absorb the constants that follow them.
 *
 * An ONNX Add after a MatMul is a bias, a BatchNormalization after a Conv rescales its filters; networks here have no such nodes. So
 * a chain of element-wise affine maps x ↦ s∘x + t is folded into the affine node before it, in float64, if nothing else reads that
 * node; where it cannot be (behind a ReLU, at the input), it becomes a node of its own.
 */
import type { OnnxTensor } from '../../formats/onnx.js';
import type { ConvolutionGeometry } from '../layers/convolution.js';
import { type Extents, featuresOf } from '../layers/layer.js';
import { INPUT } from '../network.js';

export interface Constant {
  readonly kind: 'constant';
  readonly tensor: OnnxTensor;
}

export interface Activation {
  readonly kind: 'activation';
  /** Number of the draft node that makes it, or INPUT. */
  readonly node: number;
  /** Extents of one image: the ONNX shape without the batch. */
  readonly shape: readonly number[];
  /** Whether nothing but the operator at hand reads it, so that its node may be changed. */
  readonly exclusive: boolean;
}

export type Value = Constant | Activation;

/** Weights of an affine draft node: row-major, `rows` outputs (channels, outputs or features) with one bias each. */
export interface DraftWeights {
  readonly weight: Float64Array;
  readonly bias: Float64Array;
}

export type DraftNode = { readonly inputs: readonly number[]; readonly output: Extents } & (
  | ({ readonly kind: 'convolution'; readonly input: Extents; readonly geometry: ConvolutionGeometry } & DraftWeights)
  | ({ readonly kind: 'linear'; readonly input: Extents } & DraftWeights)
  | ({ readonly kind: 'scale' } & DraftWeights)
  | { readonly kind: 'relu' }
  | { readonly kind: 'join' }
);

/** Grows while operators are read. */
export type Draft = DraftNode[];

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/** Extents as networks know them: [a] is a vector, further axes are gathered in the last one. */
export const extentsOf = ([channels = 1, height = 1, ...rest]: readonly number[]): Extents => [channels, height, sizeOf(rest)];

/** Adds a node; the activation that it makes. */
export function append(draft: Draft, node: DraftNode, shape: readonly number[]): Activation {
  draft.push(node);
  return { kind: 'activation', node: draft.length - 1, shape, exclusive: true };
}

/** The value at each of `count` equal stretches, or undefined where a stretch holds different ones. */
export function perStretch(values: Float64Array, count: number): Float64Array | undefined {
  const stretch = values.length / count;
  const firsts = Float64Array.from({ length: count }, (_, i) => values[i * stretch] as number);
  return values.every((value, i) => value === firsts[Math.floor(i / stretch)]) ? firsts : undefined;
}

/** s∘(W x + b) + t as weights, with one s and t per row. */
function scaledRows({ weight, bias }: DraftWeights, scale: Float64Array, shift: Float64Array): DraftWeights {
  const row = weight.length / bias.length;
  return {
    weight: weight.map((w, i) => w * (scale[Math.floor(i / row)] as number)),
    bias: bias.map((b, i) => b * (scale[i] as number) + (shift[i] as number)),
  };
}

/** x ↦ s∘x + t with one s and one t per feature. */
export function elementwiseAffine(draft: Draft, x: Activation, scale: Float64Array, shift: Float64Array): Activation {
  if (scale.every((s) => s === 1) && shift.every((t) => t === 0)) return x;
  const before = x.node === INPUT ? undefined : draft[x.node];
  if (x.exclusive && before !== undefined && 'weight' in before) {
    const rows = before.bias.length;
    const [rowScale, rowShift] = [perStretch(scale, rows), perStretch(shift, rows)];
    if (rowScale && rowShift) {
      draft[x.node] = { ...before, ...scaledRows(before, rowScale, rowShift) };
      return x;
    }
  }
  const output = extentsOf(x.shape);
  if (featuresOf(output) !== scale.length) throw new RangeError(`expected ${featuresOf(output)} factors, got ${scale.length}`);
  return append(draft, { kind: 'scale', inputs: [x.node], output, weight: scale, bias: shift }, x.shape);
}
