/**
 * Bands of a region's window: the coefficients of rows as several arrays, each of some lines of the window.
 *
 * The matrix that carries a window of coefficients back through a convolution is mostly zeros, as a line of
 * the output meets the kernel's height of input lines alone. With the output's lines in bands, the input's
 * are cut where the bands that see them change, and only blocks of bands that meet are multiplied: two bands
 * of a 4 × 4 window before a 5 × 5 kernel of stride 2 take 64 % of the multiplications.
 */
import { concat, gatherRows, gemm, gemmAdd, reshape, slice, type Tensor } from '../../graph/index.js';
import type { AffineLayer, Weights, Window } from '../../network/layers/layer.js';
import { type Region, regionBehind, regionSize } from './region.js';

/** Lines start ≤ y < end of a region's window, in all channels. */
export type Band = readonly [start: number, end: number];

/** Coefficients of rows, or tables that they are multiplied with: [rows, channels · lines · width] each. */
export type Banded = readonly Tensor[];

/** Largest explicit matrix of a windowed convolution; above it the convolution's own adjoint is used. */
const MATRIX_ENTRIES = 2 ** 16;
/** Smallest that is divided: below, products cost less than the operations that bands add. */
const BANDED_ENTRIES = 2 ** 14;

/** The extents [channels, lines, width] of what a row has coefficients for. */
const extentsOf = ({ extents: [channels, height, width], window }: Region) =>
  [channels, ...(window?.kernel ?? [height, width])] as const;

/** All lines of a region in one band. */
export const oneBand = (region: Region): readonly Band[] => [[0, extentsOf(region)[1]]];

/** The part of a region that a band has. */
export function bandOf(region: Region, [start, end]: Band): Region {
  if (region.window === undefined) return region;
  const { kernel, stride, padding } = region.window;
  const window: Window = {
    kernel: [end - start, kernel[1]],
    stride,
    padding: [padding[0] - start, padding[1]],
  };
  return { ...region, window };
}

/**
 * Whether the adjoint on this region is products with an explicit matrix (made once per batch, by
 * `adjointBlocks`).
 */
export function hasAdjointMatrix(region: Region, layer: AffineLayer): boolean {
  if (region.window === undefined || layer.window === undefined) return false;
  return regionSize(region) * regionSize(regionBehind(region, layer)) <= MATRIX_ENTRIES;
}

/** The bands of rows that start in a region and are next carried through `layer`: two where it pays. */
export function startBands(region: Region, layer: AffineLayer | undefined): readonly Band[] {
  const lines = extentsOf(region)[1];
  if (layer === undefined || lines < 2 || !hasAdjointMatrix(region, layer)) return oneBand(region);
  if (regionSize(region) * regionSize(regionBehind(region, layer)) < BANDED_ENTRIES) return oneBand(region);
  const half = Math.ceil(lines / 2);
  return [
    [0, half],
    [half, lines],
  ];
}

/** Input lines that a band of a layer's output sees. */
function seenBy([start, end]: Band, { kernel, stride }: Window): Band {
  return [start * stride[0], (end - 1) * stride[0] + kernel[0]];
}

const meet = (a: Band, b: Band): boolean => a[0] < b[1] && b[0] < a[1];

/**
 * The bands of a layer's input where its output is in bands: cut where those that see a line change. Lines
 * that none sees, between kernels farther apart than they reach, belong to the band before.
 */
export function bandsBehind(bands: readonly Band[], { window }: AffineLayer): readonly Band[] {
  const seen = bands.map((band) => seenBy(band, window as Window));
  const ends = [...new Set(seen.flat())].sort((a, b) => a - b);
  const last = ends.at(-1) as number;
  const starts = ends.filter((line) => seen.some((lines) => meet(lines, [line, line + 1])));
  return starts.map((start, i): Band => [start, starts[i + 1] ?? last]);
}

/** A block of a convolution's matrix: from a band of its output to one of its input, by their numbers. */
export interface AdjointBlock {
  readonly from: number;
  readonly to: number;
  readonly matrix: Tensor;
}

/** The blocks of the matrix [region size, size of the region behind] that are not zero. */
export function adjointBlocks(
  region: Region,
  bands: readonly Band[],
  layer: AffineLayer,
  weights: Weights,
): AdjointBlock[] {
  const seen = bands.map((band) => seenBy(band, layer.window as Window));
  return bandsBehind(bands, layer).flatMap((behind, to) =>
    bands.flatMap((band, from) =>
      meet(seen[from] as Band, behind)
        ? [{ from, to, matrix: adjointBlock(region, layer, weights, band, behind) }]
        : [],
    ),
  );
}

/** The matrix [size of a band of the region, size of a band behind it]. */
function adjointBlock(
  region: Region,
  layer: AffineLayer,
  { weight }: Weights,
  [top, bottom]: Band,
  [first, last]: Band,
): Tensor {
  const [outputs, , width] = extentsOf(region);
  const [inputs, , behindWidth] = extentsOf(regionBehind(region, layer));
  const { kernel, stride } = layer.window as Window;
  const [lines, behindLines] = [bottom - top, last - first];
  const rows = outputs * lines * width;
  const columns = inputs * behindLines * behindWidth;
  const table = new Int32Array(rows * columns).fill(-1);
  for (let row = 0; row < rows; row++) {
    const x = row % width;
    const y = Math.floor(row / width) % lines;
    const o = Math.floor(row / (width * lines));
    for (let c = 0; c < inputs; c++)
      for (let ky = 0; ky < kernel[0]; ky++) {
        const line = (top + y) * stride[0] + ky - first;
        if (line < 0 || line >= behindLines) continue;
        const column = (c * behindLines + line) * behindWidth + x * stride[1];
        const tap = ((o * inputs + c) * kernel[0] + ky) * kernel[1];
        for (let kx = 0; kx < kernel[1]; kx++) table[row * columns + column + kx] = tap + kx;
      }
  }
  const flat = reshape(weight as Tensor, [outputs * inputs * kernel[0] * kernel[1], 1]);
  return reshape(gatherRows(flat, table), [rows, columns]);
}

/** Coefficients carried back by a convolution's blocks. */
export function timesBlocks(rows: Banded, blocks: readonly AdjointBlock[]): Banded {
  const behind: Tensor[] = [];
  for (const { from, to, matrix } of blocks) {
    const [a, sum] = [rows[from] as Tensor, behind[to]];
    behind[to] = sum === undefined ? gemm(a, matrix) : gemmAdd(a, matrix, sum);
  }
  return behind;
}

/** Coefficients of each channel of a layer over its start region, [channels, size of a band]. */
export function startRows(region: Region, bands: readonly Band[], { weight }: Weights): Banded {
  const [channels, ...extents] = [(weight as Tensor).shape[0] as number, ...extentsOf(region)] as const;
  const all = reshape(weight as Tensor, [channels, ...extents]);
  return bands.map(([start, end]) =>
    reshape(slice(all, 2, start, end), [channels, regionSize(bandOf(region, [start, end]))]),
  );
}

/** The same coefficients in one array. */
export function joined(rows: Banded, region: Region): Tensor {
  const [channels] = extentsOf(region);
  if (rows.length === 1) return rows[0] as Tensor;
  const count = (rows[0] as Tensor).shape[0] as number;
  const byChannel = rows.map((band) =>
    reshape(band, [count, channels, (band.shape[1] as number) / channels]),
  );
  return reshape(concat(byChannel, 2), [count, regionSize(region)]);
}
