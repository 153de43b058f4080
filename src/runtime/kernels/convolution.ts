/** Convolutions as the kernels of `native/` know them. */

export type Pair = readonly [vertical: number, horizontal: number];
export type Extents = readonly [channels: number, height: number, width: number];

/** y = W ∗ x + b. */
export interface Convolution {
  readonly input: Extents;
  readonly output: Extents;
  readonly kernel: Pair;
  readonly stride: Pair;
  /** Zeros above and left of the input. */
  readonly padding: Pair;
}

export const featuresOf = ([channels, height, width]: Extents): number => channels * height * width;

/** Weights of one of its outputs. */
export const tapsOf = ({ input, kernel }: Convolution): number => input[0] * kernel[0] * kernel[1];

/** Numbers of its weights. */
export const weightsOf = (layer: Convolution): number => layer.output[0] * tapsOf(layer);

/** Multiplications on an image. */
export const multiplicationsOf = (layer: Convolution): number =>
  weightsOf(layer) * layer.output[1] * layer.output[2];

/** Extent of the input along one side, with the zeros around it that the layer reads. */
const padded = ({ input, output, kernel, stride, padding }: Convolution, side: 0 | 1): number =>
  Math.max(
    ((output[side + 1] as number) - 1) * stride[side] + kernel[side],
    padding[side] + (input[side + 1] as number),
  );

/** Features of the input with the zeros around it that the layer reads. */
export const paddedFeaturesOf = (layer: Convolution): number =>
  layer.input[0] * padded(layer, 0) * padded(layer, 1);
