/**
 * The part of a layer's input that a row of back-substitution has coefficients for: a window that moves with
 * the start neuron, or all of it. Rows are [rows, features of the region]; per-image quantities become tables
 * with one line per (place, image).
 */
import { broadcastTo, gatherRows, gemm, reshape, type Tensor, transpose } from '../../graph/index.js';
import { convolutionLayer } from '../../network/layers/convolution.js';
import { im2colTable } from '../../network/layers/convolution-product.js';
import {
  type AffineLayer,
  type Extents,
  featuresOf,
  type Weights,
  type Window,
} from '../../network/layers/layer.js';

export interface Region {
  /** Extents of the layer that the region lies in. */
  readonly extents: Extents;
  /** Grid of start neurons per channel; [1, 1] where each row sees everything. */
  readonly grid: readonly [rows: number, columns: number];
  /** Size, stride over the grid, and offset of the window; undefined for the whole layer. */
  readonly window: Window | undefined;
}

export const regionSize = ({ extents, window }: Region): number =>
  window ? extents[0] * window.kernel[0] * window.kernel[1] : featuresOf(extents);
export const places = ({ grid }: Region): number => grid[0] * grid[1];

/** The region that a neuron of `layer` sees of the layer's input. */
export function startRegion(layer: AffineLayer): Region {
  const grid = layer.window ? ([layer.output[1], layer.output[2]] as const) : ([1, 1] as const);
  return { extents: layer.input, grid, window: layer.window };
}

/** The region of `layer`'s input that a region of its output sees. */
export function regionBehind(region: Region, layer: AffineLayer): Region {
  const { window } = region;
  if (window === undefined || layer.window === undefined)
    return { ...region, extents: layer.input, window: undefined };
  const { kernel, stride, padding } = layer.window;
  return {
    ...region,
    extents: layer.input,
    window: {
      kernel: [
        (window.kernel[0] - 1) * stride[0] + kernel[0],
        (window.kernel[1] - 1) * stride[1] + kernel[1],
      ],
      stride: [window.stride[0] * stride[0], window.stride[1] * stride[1]],
      padding: [window.padding[0] * stride[0] + padding[0], window.padding[1] * stride[1] + padding[1]],
    },
  };
}

/**
 * Values [features, batch] as a table [places · batch, region size]: line p·batch + b is what a row at place
 * p of image b sees.
 */
export function regionTable(values: Tensor, region: Region): Tensor {
  if (region.window === undefined) return transpose(values);
  const batch = values.shape[1] as number;
  const seen = gatherRows(values, im2colTable(region.extents, region.grid, region.window));
  return transpose(reshape(seen, [regionSize(region), places(region) * batch]));
}

/** The layer on a window alone: its output exactly the window's extent, nothing padded. */
function windowLayer(region: Region, layer: AffineLayer): AffineLayer {
  const [height, width] = (region.window as Window).kernel;
  const { kernel, stride } = layer.window as Window;
  return convolutionLayer(
    [layer.input[0], (height - 1) * stride[0] + kernel[0], (width - 1) * stride[1] + kernel[1]],
    {
      channels: layer.output[0],
      kernel,
      stride,
    },
  );
}

/** Rows over a region of `layer`'s output carried to the region behind it. */
export function regionAdjoint(rows: Tensor, region: Region, layer: AffineLayer, weights: Weights): Tensor {
  if (layer.name === 'linear') return gemm(rows, weights.weight as Tensor);
  const target = region.window && layer.window ? windowLayer(region, layer) : layer;
  return transpose(target.adjoint(weights, transpose(rows)));
}

/**
 * The layer's bias as a region of its output sees it, [region size, 1]. Where the window leaves the layer,
 * coefficients are zero anyway.
 */
export function regionBias(bias: Tensor, region: Region): Tensor {
  const [channels] = region.extents;
  const area = regionSize(region) / channels;
  return reshape(broadcastTo(reshape(bias, [channels, 1]), [channels, area]), [channels * area, 1]);
}
