/**
 * Windows that move over the rows and columns of an image: what convolutions and pools have in common. One
 * dimension is an image of one row.
 */
import { type Call, integer, integers, refuse, text } from './operator.js';

/** Most entries of a table of (input, tap, output) triples: 256 MiB of int32. */
export const LARGEST_TABLE = 2 ** 26;

type Pair = readonly [vertical: number, horizontal: number];
type Pads = readonly [top: number, left: number, bottom: number, right: number];

export interface SpatialWindow {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
}

const asPair = (values: readonly number[], otherwise: number): Pair =>
  values.length === 1 ? [otherwise, values[0] as number] : [values[0] as number, values[1] as number];

/** [C, H, W] of an activation's shape [C, W] or [C, H, W]; others are refused. */
export function imageExtents(call: Call, shape: readonly number[]): [number, number, number] {
  const [channels, ...extents] = shape;
  if (extents.length < 1 || extents.length > 2)
    refuse(call, 'an input [batch,C,W] or [batch,C,H,W]', `[batch,${shape.join(',')}]`);
  return [channels as number, ...asPair(extents, 1)];
}

/** The window that a call's attributes describe, of a kernel of one or two extents. */
export function spatialWindow(call: Call, kernel: readonly number[]): SpatialWindow {
  const ones = kernel.map(() => 1);
  const positive = (name: string, values: readonly number[]): Pair => {
    if (values.some((value) => !Number.isSafeInteger(value) || value < 1))
      refuse(call, `${name} ≥ 1`, `[${values.join(',')}]`);
    return asPair(values, 1);
  };
  return {
    kernel: positive('kernel extents', kernel),
    stride: positive('strides', integers(call, 'strides', ones)),
    dilation: positive('dilations', integers(call, 'dilations', ones)),
  };
}

/** What a kernel reaches over along an axis, its first to its last tap. */
export const reachOf = ({ kernel, dilation }: SpatialWindow, axis: 0 | 1): number =>
  (kernel[axis] - 1) * dilation[axis] + 1;

/**
 * `auto_pad`: undefined where `pads` holds. ONNX Runtime pads no dilated windows by itself, so nothing would
 * tell what was meant.
 */
export function autoPad(
  call: Call,
  { dilation }: SpatialWindow,
): 'VALID' | 'SAME_UPPER' | 'SAME_LOWER' | undefined {
  const mode = text(call, 'auto_pad', 'NOTSET');
  if (mode === 'NOTSET') return undefined;
  if (mode !== 'VALID' && mode !== 'SAME_UPPER' && mode !== 'SAME_LOWER')
    refuse(call, 'auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER', mode);
  if (mode !== 'VALID' && dilation.some((d) => d !== 1))
    refuse(call, `pads instead of auto_pad ${mode} with dilations`, `dilations ${dilation.join(',')}`);
  return mode;
}

/** Totals per axis split into before and after; an odd one goes after, or before with `lower`. */
export function splitPads(total: Pair, lower: boolean): Pads {
  const less = total.map((t) => Math.floor(t / 2)) as [number, number];
  const more = total.map((t) => Math.ceil(t / 2)) as [number, number];
  return lower ? [...more, ...less] : [...less, ...more];
}

/** `pads` of one or two axes. */
export function givenPads(call: Call, rank: number): Pads {
  const pads = integers(call, 'pads', new Array<number>(2 * rank).fill(0));
  if (pads.some((p) => !Number.isSafeInteger(p) || p < 0 || p > LARGEST_TABLE))
    refuse(call, 'pads ≥ 0', `[${pads.join(',')}]`);
  const [before, after] = [asPair(pads.slice(0, rank), 0), asPair(pads.slice(rank), 0)];
  return [...before, ...after];
}

/**
 * Padding, and places of the output, of a window over an image. With `ceil_mode` the last window may begin
 * inside and end outside.
 */
export function placement(
  call: Call,
  extents: Pair,
  rank: number,
  window: SpatialWindow,
): { padding: Pads; places: [number, number] } {
  const mode = autoPad(call, window);
  const axes = [0, 1] as const;
  const same = axes.map((axis) => {
    const places = Math.ceil(extents[axis] / window.stride[axis]);
    return Math.max(0, (places - 1) * window.stride[axis] + reachOf(window, axis) - extents[axis]);
  }) as [number, number];
  const padding =
    mode === undefined
      ? givenPads(call, rank)
      : mode === 'VALID'
        ? ([0, 0, 0, 0] as const)
        : splitPads(same, mode === 'SAME_LOWER');
  const ceil = mode === undefined && integer(call, 'ceil_mode', 0) !== 0;
  const places = axes.map((axis) => {
    const [stride, before] = [window.stride[axis], padding[axis]];
    const steps = (extents[axis] + before + padding[(axis + 2) as 2 | 3] - reachOf(window, axis)) / stride;
    const count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    return ceil && (count - 1) * stride >= extents[axis] + before ? count - 1 : count;
  }) as [number, number];
  return { padding, places };
}
