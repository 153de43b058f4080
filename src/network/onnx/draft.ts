/**
 * A network being read from ONNX: nodes whose weights may still absorb the constants that follow them.
 *
 * An ONNX Add after a MatMul is a bias, a BatchNormalization after a Conv rescales its filters; networks here
 * have no such nodes. So a chain of element-wise affine maps x ↦ s∘x + t is folded into the affine node
 * before it, in float64, if nothing else reads that node; where it cannot be (behind a ReLU, at the input),
 * it becomes a node of its own.
 */
import type { OnnxTensor } from '../../formats/onnx.js';
import type { ActivationName } from '../activations/index.js';
import type { GroupedGeometry } from '../layers/grouped-convolution.js';
import type { Extents } from '../layers/layer.js';
import type { TransposedGeometry } from '../layers/transposed-convolution.js';

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
  /**
   * Where the file's shape has the batch: 0 if left out, −1 for nowhere, which files for a batch of one may
   * do.
   */
  readonly batchAxis?: number;
  /**
   * A selection of the node's features that has not become a node; undefined for all of them in their order.
   */
  readonly view?: View;
  /** Whether nothing but the operator at hand reads it, so that its node may be changed. */
  readonly exclusive: boolean;
}

/**
 * A selection of features that waits. Transposing, slicing and padding compute nothing, so they wait as
 * tables: a linear layer takes them into its columns, element-wise layers let permutations pass, two of them
 * in a row become one, and many undo each other. Only what is left before a layer that needs an order of its
 * own becomes a node (`view.ts`).
 */
export interface View {
  /** Features of the node that is looked at. */
  readonly from: number;
  /** For each feature of the activation the node's feature, or −1 for a constant. */
  readonly table: Int32Array;
  /** For each feature the constant where the table says −1; zeros if left out. */
  readonly constants?: Float64Array;
}

export type Value = Constant | Activation;

/** Numbers values[i] · 2^−shift. */
export interface Integers {
  readonly values: readonly bigint[];
  readonly shift: number;
}

/**
 * Weights of an affine draft node: row-major, `rows` outputs (channels, outputs or features) with one bias
 * each.
 */
export interface DraftWeights {
  /** Each within `foldings` + 1 relative roundings of what the file says. */
  readonly weight: Float64Array;
  /** What float64 leaves of each weight, of element-wise nodes. */
  readonly weightLow?: Float64Array;
  readonly bias: Float64Array;
  /** What float64 leaves of each bias, where sums were folded into it. */
  readonly biasLow?: Float64Array;
  /** How often the weights were multiplied by constants; 0 if left out. */
  readonly foldings?: number;
  /** The weights exactly, where they are products of several layers'. */
  readonly factors?: Integers;
  /** Whether bias + biasLow is exactly what the file says. */
  readonly exactBias?: boolean;
}

export type DraftNode = { readonly inputs: readonly number[]; readonly output: Extents } & (
  | ({
      readonly kind: 'convolution';
      readonly input: Extents;
      readonly geometry: GroupedGeometry;
    } & DraftWeights)
  | ({
      readonly kind: 'transposed';
      readonly input: Extents;
      readonly geometry: TransposedGeometry;
    } & DraftWeights)
  | ({ readonly kind: 'linear'; readonly input: Extents } & DraftWeights)
  | ({ readonly kind: 'scale' } & DraftWeights)
  | { readonly kind: 'relu' }
  | { readonly kind: 'smooth'; readonly function: ActivationName }
  | { readonly kind: 'join' }
  /** Of two decided values (`decided.ts`); no layer. */
  | { readonly kind: 'product' }
  | { readonly kind: 'quotient' }
  | { readonly kind: 'selection'; readonly input: Extents; readonly view: View }
  | {
      readonly kind: 'pooling';
      readonly input: Extents;
      readonly table: Int32Array;
      readonly factors: Float64Array;
    }
);

/** Grows while operators are read. */
export type Draft = DraftNode[];

export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((product, extent) => product * extent, 1);

/** Extents as networks know them: [a] is a vector, further axes are gathered in the last one. */
export const extentsOf = ([channels = 1, height = 1, ...rest]: readonly number[]): Extents => [
  channels,
  height,
  sizeOf(rest),
];

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
