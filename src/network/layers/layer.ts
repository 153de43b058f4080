/**
 * What a layer is. Activations are [features, batch] with features = channels · height · width in that order.
 *
 * Every layer but the activations is affine, x ↦ L x + b, and says what each relaxation needs of it: the
 * linear map, its adjoint, and the map with absolute weights. Relaxations are written once for all affine
 * layers; adding a layer touches no relaxation.
 */
import type { FloatType, Tensor } from '../../graph/index.js';
import type { ActivationName } from '../activations/index.js';

/** Extents of one activation: an image, or a vector as [features, 1, 1]. */
export type Extents = readonly [channels: number, height: number, width: number];
export const featuresOf = ([channels, height, width]: Extents): number => channels * height * width;

/** One trained array of a layer. */
export interface ParameterSpec {
  readonly name: 'weight' | 'bias';
  readonly shape: readonly number[];
  /** Inputs that one output sums over: what initialisations scale by. */
  readonly fanIn: number;
}

/** The arrays of one layer as graph tensors. */
export type Weights = Readonly<Partial<Record<ParameterSpec['name'], Tensor>>>;

/**
 * An affine map x ↦ L x + b on [features, n] in the ways that relaxations need it: forward, adjoint, and
 * with |L|.
 */
export interface AffineLayer {
  readonly kind: 'affine';
  readonly name: string;
  readonly input: Extents;
  readonly output: Extents;
  readonly parameters: readonly ParameterSpec[];
  /** L x + b: [features in, n] → [features out, n]. */
  apply(weights: Weights, x: Tensor): Tensor;
  /** L x, without the bias. */
  linear(weights: Weights, x: Tensor): Tensor;
  /** Lᵀ a: [features out, n] → [features in, n]. */
  adjoint(weights: Weights, a: Tensor): Tensor;
  /** The same layer's weights with every entry of L replaced by its absolute value. */
  absolute(weights: Weights): Weights;
  /** b as [features out, 1], or undefined where the layer has none. */
  bias(weights: Weights, dtype: FloatType): Tensor | undefined;
  /**
   * Each output depends on one input at most and no input matters to two outputs: boxes are mapped to boxes
   * exactly.
   */
  readonly separable?: boolean;
  /** How it carries receptive fields back; undefined for layers that see all of their input. */
  readonly window?: Window;
}

/** The receptive field of a layer whose outputs each see a small rectangle of the input. */
export interface Window {
  readonly kernel: readonly [height: number, width: number];
  readonly stride: readonly [vertical: number, horizontal: number];
  /** Zeros added above and left of the input. */
  readonly padding: readonly [top: number, left: number];
}

/** max(x, 0), element by element. */
export interface ReluLayer {
  readonly kind: 'relu';
  readonly name: string;
  readonly input: Extents;
  readonly output: Extents;
  readonly parameters: readonly [];
}

/** A smooth function of each feature. */
export interface ActivationLayer {
  readonly kind: 'activation';
  readonly name: ActivationName;
  readonly function: ActivationName;
  readonly input: Extents;
  readonly output: Extents;
  readonly parameters: readonly [];
}

/** The sum of two or more activations: where a residual branch joins. */
export interface JoinLayer {
  readonly kind: 'join';
  readonly name: string;
  readonly input: Extents;
  readonly output: Extents;
  readonly parameters: readonly [];
}

/** A node of a network. */
export type Layer = AffineLayer | ReluLayer | ActivationLayer | JoinLayer;

/** ReLU, max(0, x) of each value. */
export const reluLayer = (extents: Extents): ReluLayer => ({
  kind: 'relu',
  name: 'relu',
  input: extents,
  output: extents,
  parameters: [],
});
export const activationLayer = (extents: Extents, of: ActivationName): ActivationLayer => ({
  kind: 'activation',
  name: of,
  function: of,
  input: extents,
  output: extents,
  parameters: [],
});
export const joinLayer = (extents: Extents): JoinLayer => ({
  kind: 'join',
  name: 'join',
  input: extents,
  output: extents,
  parameters: [],
});
