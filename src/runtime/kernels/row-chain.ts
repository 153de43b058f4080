/**
 * The chain of layers that the row kernel carries its rows through, as numbers (`native/chain.h` reads them),
 * and the check of every array against it: the kernel itself checks no bounds.
 */

/** Window [height, width] of a layer [height, width] that a row has coefficients for, in all channels. */
export interface KernelRegion {
  readonly channels: number;
  readonly window: readonly [number, number];
  readonly layer: readonly [number, number];
  /** The window of place (p, q) begins at (p, q) ∘ stride − padding. */
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
}

export type KernelStep =
  | { readonly kind: 'relu'; readonly region: KernelRegion }
  | {
      readonly kind: 'affine';
      readonly region: KernelRegion;
      /** The region of the layer's input that `region` of its output sees. */
      readonly behind: KernelRegion;
      readonly kernel: readonly [number, number];
      readonly stride: readonly [number, number];
      readonly padding: readonly [number, number];
    };

export interface KernelChain {
  readonly batch: number;
  /** Channels of the rows' own layer and its grid of places. */
  readonly channels: number;
  readonly grid: readonly [number, number];
  /** Positions of its arrays. */
  readonly weight: number;
  readonly bias: number | undefined;
  readonly input: KernelRegion;
  /**
   * From the layer before the rows' own to the input, with positions of their arrays. ReLU: α, λ, μ, and
   * centre and radius of its output where rows are bounded there as well; affine: weight, bias.
   */
  readonly steps: readonly { readonly step: KernelStep; readonly arrays: readonly (number | undefined)[] }[];
}

/** The chain for the kernel, and the length that each of its arrays must have. */
export interface EncodedChain {
  readonly ints: Int32Array;
  readonly sizes: readonly number[];
}

/** Coefficients of a row at all layers together; a vector of rows then takes at most 128 MB. */
export const MOST_COEFFICIENTS = 1 << 20;

const areaOf = ([height, width]: readonly [number, number]): number => height * width;
const sizeOf = ({ channels, window }: KernelRegion): number => channels * areaOf(window);
const featuresOf = ({ channels, layer }: KernelRegion): number => channels * areaOf(layer);

function refuse(what: string): never {
  throw new RangeError(`row kernel: expected ${what}; use the programs of ONNX Runtime`);
}

function checkRegion(region: KernelRegion): void {
  const { channels, window, layer, stride, padding } = region;
  const counts = [channels, ...window, ...layer];
  if (!counts.every((n) => Number.isInteger(n) && n >= 1) || featuresOf(region) > 2 ** 31 - 1)
    refuse(`a region of whole, positive extents, got ${JSON.stringify(region)}`);
  if (![...stride, ...padding].every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 15))
    refuse(`strides and padding of 0 to 32767, got ${JSON.stringify(region)}`);
}

/** Whether an affine step's regions fit: each output of the region sees pixels of the region behind only. */
function checkAffine({ region, behind, kernel, stride, padding }: KernelStep & { kind: 'affine' }): void {
  checkRegion(behind);
  if (![...kernel, ...stride].every((n) => Number.isInteger(n) && n >= 1 && n < 2 ** 15))
    refuse(`kernel and stride of 1 to 32767, got ${kernel.join('×')} and ${stride.join('×')}`);
  if (!padding.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 15))
    refuse(`padding of 0 to 32767, got ${padding.join('×')}`);
  checkRegion(region);
}

/** The chain in numbers; an error of one line where its shapes do not go together. */
export function encodeChain(chain: KernelChain): EncodedChain {
  const { batch, channels, grid, input, steps } = chain;
  if (![batch, channels, ...grid].every((n) => Number.isInteger(n) && n >= 1))
    refuse(`a batch, channels and a grid of positive numbers, got ${[batch, channels, ...grid].join(', ')}`);
  if (!grid.every((n) => n < 2 ** 15))
    refuse(`a grid of fewer than 32768 places a side, got ${grid.join('×')}`);
  if (batch * channels * areaOf(grid) > 2 ** 31 - 1) refuse('fewer than 2³¹ neurons of all images');
  const sizes: number[] = [];
  const need = (position: number | undefined, size: number): number => {
    if (position === undefined) return -1;
    sizes[position] = size;
    return position;
  };
  let size = sizeOf(steps[0]?.step.region ?? input);
  const head = [batch, channels, ...grid, need(chain.weight, channels * size), need(chain.bias, channels)];
  const numbers = ({ channels: c, window, layer, stride, padding }: KernelRegion) => [
    c,
    ...window,
    ...layer,
    ...stride,
    ...padding,
  ];
  let total = size;
  const body = steps.flatMap(({ step, arrays }) => {
    checkRegion(step.region);
    if (sizeOf(step.region) !== size) refuse(`a region of ${size} coefficients, got ${sizeOf(step.region)}`);
    if (step.kind === 'relu') {
      const positions = [0, 1, 2, 3, 4].map((i) => need(arrays[i], batch * featuresOf(step.region)));
      if (positions.slice(0, 3).includes(-1) || (positions[3] === -1) !== (positions[4] === -1))
        refuse('three slopes of a ReLU, and a centre with a radius');
      const none = [0, 0, 0, 0, 0, 0];
      return [0, ...numbers(step.region), ...numbers(step.region), ...none, ...positions];
    }
    checkAffine(step);
    const { region, behind, kernel, stride, padding } = step;
    size = sizeOf(behind);
    total += size;
    const weight = need(arrays[0], region.channels * behind.channels * areaOf(kernel));
    const bias = need(arrays[1], region.channels);
    const shape = [...numbers(region), ...numbers(behind), ...kernel, ...stride, ...padding];
    if (weight === -1) refuse('the weight of an affine step');
    return [1, ...shape, weight, bias, -1, -1, -1];
  });
  checkRegion(input);
  if (sizeOf(input) !== size) refuse(`a region of ${size} coefficients at the input, got ${sizeOf(input)}`);
  if (total > MOST_COEFFICIENTS) refuse(`at most ${MOST_COEFFICIENTS} coefficients of a row, got ${total}`);
  const box = batch * featuresOf(input);
  const ints = Int32Array.from([...head, ...numbers(input), ...body]);
  const used = [...sizes, box, box];
  if (used.some((n) => n === undefined)) refuse('an array at every position');
  return { ints, sizes: used };
}
