/**
 * Which tensors of a graph the interval and margin kernels can compute: whoever builds a graph of layers says
 * which of its tensors are a layer's sums or what its ReLU passes, or bounds of rows carried back through
 * layers, and plans may take them from a kernel instead.
 */
import type { Tensor } from '../../graph/tensor.js';
import { type Convolution, multiplicationsOf } from '../kernels/convolution.js';
import type { MarginStep } from '../kernels/margin-chain.js';

/** A layer of a run, with its arrays. */
export interface RunLayer extends Convolution {
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  /** The value, or lower and upper bounds, [features, batch]. */
  readonly sums: readonly Tensor[];
  /** The same behind its ReLU; undefined where none follows. */
  readonly passed: readonly Tensor[] | undefined;
}

/** Layers that follow one another, from a value, or from lower and upper bounds. */
export interface LayerRun {
  readonly input: readonly Tensor[];
  readonly layers: readonly RunLayer[];
}

/** Rows of a network's outputs carried back to the input, with their arrays. */
export interface MarginRun {
  /** Coefficients [outputs, rows, batch]. */
  readonly rows: Tensor;
  /** Bounds at ReLUs on the way count, too (`kernels/margin-chain`). */
  readonly nested?: boolean;
  /** From the last layer to the input. */
  readonly steps: readonly MarginRunStep[];
  /** Lower and upper ends of the input, [features, batch]. */
  readonly box: readonly [lower: Tensor, upper: Tensor];
}

export interface RunSides {
  readonly weights: Tensor;
  readonly numbers: Tensor;
  readonly ends?: readonly [lower: Tensor, upper: Tensor] | undefined;
}

/** Lines of a ReLU, [features, batch], or [features, rows, batch] where rows have their own. */
export interface RunLines {
  readonly alpha: Tensor;
  readonly lambda: Tensor;
  readonly mu?: Tensor;
  readonly shift?: Tensor;
  /** Slopes without a derivative: all, or those that are zero. */
  readonly constant?: 'all' | 'zeros';
  /** α and `shift` are p and signs of β-CROWN (`kernels/margin-chain`). */
  readonly dual?: boolean;
  /** Upper sides of hulls, of lines that are dual (`Sides` of `kernels/margin-chain`). */
  readonly sides?: RunSides | undefined;
}

export type MarginRunStep =
  | (Omit<MarginStep & { kind: 'relu' }, 'lower' | 'upper'> & Record<'lower' | 'upper', Tensor>)
  | (Pick<MarginStep & { kind: 'lines' }, 'kind' | 'extents'> & RunLines)
  | (Omit<MarginStep & { kind: 'affine' }, 'weight' | 'bias'> & {
      readonly weight: Tensor;
      readonly bias: Tensor | undefined;
    });

/** A tensor's place in its run; of margins there is one tensor. */
export interface RunPlace {
  readonly run: LayerRun | MarginRun;
  readonly layer: number;
  readonly what: 'sums' | 'passed' | 'moments';
  readonly end: number;
}

const places = new WeakMap<Tensor, RunPlace>();
/** Weights of images in the moments of a run, [1, batch]. */
const weights = new WeakMap<LayerRun, Tensor>();

/** Whether the kernel does a run of so many multiplications of which programs see so many numbers. */
export type Worth = (multiplications: number, seen: number) => boolean;

/** Multiplications of a run for a batch below which programs do it as fast. */
export const LEAST_WORK = 2 ** 19;

/** Multiplications of the first layers of a run, of all its ends. */
export function workOf({ input, layers }: LayerRun, count = layers.length): number {
  const batch = input[0]?.shape[1] as number;
  const multiplications = layers.slice(0, count).map(multiplicationsOf);
  return input.length * batch * multiplications.reduce((a, b) => a + b, 0);
}

/** Says of the tensors of a run that the kernel can compute them. */
export function markRun(run: LayerRun): void {
  for (const [layer, { sums, passed }] of run.layers.entries()) {
    for (const [end, x] of sums.entries()) places.set(x, { run, layer, what: 'sums', end });
    for (const [end, x] of passed?.entries() ?? []) places.set(x, { run, layer, what: 'passed', end });
  }
}

/**
 * Says of the moments of bounds that a ReLU reads (`MOMENTS` of `kernels/layer-chain`) that the kernel can
 * compute them, where it can compute the bounds; `present`: weights of images in them, [1, batch].
 */
export function markMoments(bounds: readonly Tensor[], present: Tensor, moments: Tensor): void {
  const [lower, upper] = bounds.map((x) => places.get(x));
  if (lower === undefined || 'rows' in lower.run || lower.what !== 'sums') return;
  const { run, layer } = lower;
  const isInterval = upper?.run === run && upper.layer === layer && lower.end === 0 && upper.end === 1;
  if (!isInterval || run.layers[layer]?.passed === undefined) return;
  if ((weights.get(run) ?? present) !== present) return;
  weights.set(run, present);
  places.set(moments, { run, layer, what: 'moments', end: 0 });
}

/** Weights of images in the moments of a run, if it has any. */
export const momentWeights = (run: LayerRun): Tensor | undefined => weights.get(run);

/** Says of margins [rows, batch] that the kernel can compute them. */
export function markMargins(run: MarginRun, margins: Tensor): void {
  places.set(margins, { run, layer: 0, what: 'sums', end: 0 });
}

/**
 * Tensors of runs that some outputs are computed from, those nearest to the outputs; without the runs that
 * are `left` to programs.
 */
export function runPlaces(
  outputs: readonly Tensor[],
  left: ReadonlySet<LayerRun | MarginRun>,
): Map<Tensor, RunPlace> {
  const found = new Map<Tensor, RunPlace>();
  const met = new Set<Tensor>();
  const open = [...outputs];
  for (let x = open.pop(); x !== undefined; x = open.pop()) {
    if (met.has(x)) continue;
    met.add(x);
    const place = places.get(x);
    if (place === undefined || left.has(place.run)) open.push(...x.inputs);
    else found.set(x, place);
  }
  return found;
}
