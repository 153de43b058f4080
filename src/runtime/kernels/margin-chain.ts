/**
 * The chain of layers that the margin kernel carries rows of the outputs back through, as numbers
 * (`native/margins.h` reads them), and the check of every array against it: the kernel itself checks no
 * bounds.
 */
import {
  type Convolution,
  type Extents,
  featuresOf,
  paddedFeaturesOf,
  tapsOf,
  weightsOf,
} from './convolution.js';

export type MarginStep =
  | {
      readonly kind: 'relu';
      readonly extents: Extents;
      /** Positions of the bounds of its input, [features, batch]. */
      readonly lower: number;
      readonly upper: number;
      /** The line below has the slope of the one above, as DeepZ's; else CROWN's. */
      readonly straight?: boolean;
    }
  | {
      /** A ReLU whose lines are arrays: a row a passes as α a⁺ + λ a⁻ − σ, with the constant Σ μ a⁻. */
      readonly kind: 'lines';
      readonly extents: Extents;
      readonly alpha: LineArray;
      readonly lambda: LineArray;
      readonly mu: LineArray | undefined;
      readonly shift: LineArray | undefined;
      /** Slopes that are zero have no derivative: as of dead neurons, which then cost nothing. */
      readonly zerosStay?: boolean;
      /**
       * `shift` is a sign s, and α is p of β-CROWN: α where s = 0; else β, the line is [s = 1] and σ = p s.
       * Without a derivative.
       */
      readonly dual?: boolean;
      /** Upper sides of hulls, of lines that are dual with an affine step behind. */
      readonly sides?: Sides | undefined;
    }
  | (Convolution & {
      /** A linear layer's kernel is its whole input. */
      readonly kind: 'affine';
      /** Positions of its arrays. */
      readonly weight: number;
      readonly bias: number | undefined;
    });

/**
 * Positions of what sides (`branch-and-bound/hull.ts`) are, for each neuron, pixel by pixel: v on the taps of
 * the affine step behind, in the order of its weights, and the numbers (s + r)/(u − l), l, u − l, s.
 */
export interface Sides {
  readonly weights: number;
  readonly numbers: number;
  /**
   * Lower and upper ends of what the neurons read, [features]: a search is to choose the sides, together for
   * all rows. Weights are shares m of v = m∘w at first, of the numbers only l and u − l are read, and v is
   * left in the place of the weights.
   */
  readonly ends?: readonly [lower: number, upper: number] | undefined;
}

/** Rows, at most, where sides are to be chosen; of one image. */
export const MOST_CHOOSING = 8;

/** Numbers of a neuron's side. */
export const SIDE_NUMBERS = 4;

/** Position of an array of lines: [features, batch] for all rows, or [features, rows, batch]. */
export interface LineArray {
  readonly at: number;
  readonly perRow: boolean;
}

/** Position 0 has the rows' coefficients [outputs, rows, batch], the last two the box [features, batch]. */
export interface MarginChain {
  readonly batch: number;
  readonly rows: number;
  /**
   * Rows are bounded at the output of every ReLU on their way, on [relu(lower), relu(upper)], and at the
   * input, and the best bound counts. Needs steps of kind `relu`.
   */
  readonly nested?: boolean;
  /** From the last layer to the input. */
  readonly steps: readonly MarginStep[];
}

/** The chain for the kernel, the length that each of its arrays must have, and how many margins there are. */
export interface EncodedMargins {
  readonly ints: Int32Array;
  readonly sizes: readonly number[];
  readonly margins: number;
  /** Positions of α that have values for each row, and of sides to choose: those that a search may move. */
  readonly searchable: readonly number[];
  /** Whether sides are to be chosen: only a search can. */
  readonly choosesSides: boolean;
  /** Whether lines are dual, which have no derivative. */
  readonly dual: boolean;
}

/** Coefficients of a row at all layers together; the kernel then takes some hundred megabytes at most. */
export const MOST_COEFFICIENTS = 2 ** 20;
/** Neurons of all images of a layer, and weights of a layer. */
const MOST_NUMBERS = 2 ** 31 - 1;

function refuse(what: string): never {
  throw new RangeError(`margin kernel: expected ${what}; use the programs of ONNX Runtime`);
}

const outputOf = (step: MarginStep): Extents => (step.kind === 'affine' ? step.output : step.extents);
const inputOf = (step: MarginStep): Extents => (step.kind === 'affine' ? step.input : step.extents);

function checkStep(step: MarginStep): void {
  const geometry = step.kind === 'affine' ? [...step.kernel, ...step.stride] : [];
  const counts = [...outputOf(step), ...inputOf(step), ...geometry];
  if (!counts.every((n) => Number.isInteger(n) && n >= 1 && n < 2 ** 24))
    refuse(`extents, kernel and stride of whole, positive numbers, got ${counts.join(', ')}`);
  const padding = step.kind === 'affine' ? step.padding : [];
  const sides = [...outputOf(step).slice(1), ...inputOf(step).slice(1), ...geometry, ...padding];
  if (!sides.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 15))
    refuse(`sides, kernel, stride and padding below 32768, got ${sides.join(', ')}`);
}

/** Coefficients behind an affine step, with those around them that its kernel reaches. */
const reached = (step: MarginStep): number =>
  step.kind === 'affine' ? paddedFeaturesOf(step) : featuresOf(step.extents);

/** Positions of arrays in a step: those that are missing are −1. */
const STEP_ARRAYS = 8;
const padded = (positions: readonly number[]): number[] =>
  Array.from({ length: STEP_ARRAYS }, (_, i) => positions[i] ?? -1);
/** Bits of a step beside those of its arrays for each row. */
const [ZEROS_STAY, STRAIGHT, DUAL] = [16, 32, 64];
/** A ReLU as a step of layers. */
const ofRelu = (kind: number, extents: Extents) => [kind, ...extents, ...extents, 1, 1, 1, 1, 0, 0];

/** The chain in numbers; an error of one line where its shapes do not go together. */
export function encodeMargins({ batch, rows, nested = false, steps }: MarginChain): EncodedMargins {
  const [first, last] = [steps[0], steps.at(-1)];
  if (first === undefined || last === undefined) refuse('a layer at least, got none');
  if (![batch, rows].every((n) => Number.isInteger(n) && n >= 1))
    refuse(`a batch and rows, got ${batch} and ${rows}`);
  steps.forEach(checkStep);
  for (const [k, step] of steps.slice(1).entries()) {
    const before = inputOf(steps[k] as MarginStep);
    if (outputOf(step).some((n, i) => n !== before[i]))
      refuse(`a layer that gives ${before.join('×')}, got ${outputOf(step).join('×')}`);
  }
  const coefficients = steps.reduce((sum, step) => sum + reached(step), featuresOf(outputOf(first)));
  if (coefficients > MOST_COEFFICIENTS)
    refuse(`at most ${MOST_COEFFICIENTS} coefficients of a row, got ${coefficients}`);
  const sizes = [featuresOf(outputOf(first)) * rows * batch];
  const need = (position: number | undefined, size: number): number => {
    if (position === undefined) return -1;
    if (!Number.isInteger(position) || position < 1 || sizes[position] !== undefined)
      refuse(`one array at each position from 1, got another at ${position}`);
    sizes[position] = size;
    return position;
  };
  const positionsOf = (sides: Sides, behind: MarginStep | undefined, dual = false) => {
    if (behind?.kind !== 'affine' || !dual) return refuse('sides of dual lines, an affine step behind');
    const { weights, numbers, ends = [] } = sides;
    if (ends.length > 0 && (batch > 1 || rows > MOST_CHOOSING))
      return refuse(`at most ${MOST_CHOOSING} rows of one image that choose sides, got ${rows} of ${batch}`);
    const neurons = featuresOf(behind.output);
    const own = [need(weights, neurons * tapsOf(behind)), need(numbers, neurons * SIDE_NUMBERS)];
    return [...own, ...ends.map((end) => need(end, featuresOf(behind.input)))];
  };
  const body = steps.flatMap((step, k) => {
    if (step.kind === 'relu') {
      const { extents, lower, upper } = step;
      const ends = [lower, upper].map((position) => need(position, featuresOf(extents) * batch));
      return [...ofRelu(0, extents), ...padded(ends), step.straight ? STRAIGHT : 0];
    }
    if (step.kind === 'lines') {
      if (nested) refuse('ReLUs with bounds in nested chains, got lines');
      const { extents, alpha, lambda, mu, shift, dual, sides } = step;
      const parts = [alpha, lambda, mu, shift];
      const sizeOf = (perRow = false) => featuresOf(extents) * batch * (perRow ? rows : 1);
      const positions = parts.map((part) => need(part?.at, sizeOf(part?.perRow)));
      const ofRows = parts.reduce((bits, part, i) => bits + (part?.perRow ? 2 ** i : 0), 0);
      return [
        ...ofRelu(2, extents),
        ...padded([...positions, ...(sides ? positionsOf(sides, steps[k + 1], dual) : [])]),
        ofRows + (step.zerosStay ? ZEROS_STAY : 0) + (dual ? DUAL : 0),
      ];
    }
    const { output, input, kernel, stride, padding, weight, bias } = step;
    const positions = [need(weight, weightsOf(step)), need(bias, output[0])];
    return [1, ...output, ...input, ...kernel, ...stride, ...padding, ...padded(positions), 0];
  });
  const chosen = steps.flatMap((step) =>
    step.kind === 'lines' && step.sides?.ends ? [step.sides.weights] : [],
  );
  const box = featuresOf(inputOf(last)) * batch;
  const all = [...sizes, box, box];
  if (all.some((n) => n === undefined)) refuse('an array at every position');
  if (all.some((n) => n > MOST_NUMBERS)) refuse(`arrays of fewer than 2³¹ numbers, got ${Math.max(...all)}`);
  return {
    ints: Int32Array.from([batch, rows, Number(nested), ...outputOf(first), ...body]),
    sizes: all,
    margins: rows * batch,
    dual: steps.some((step) => step.kind === 'lines' && step.dual),
    choosesSides: chosen.length > 0,
    searchable: [
      ...steps.flatMap((step) => (step.kind === 'lines' && step.alpha.perRow ? [step.alpha.at] : [])),
      ...chosen,
    ],
  };
}

/** Numbers of the coefficients that may arrive, by position. */
export const arrivedSize = ({ ints, sizes, searchable }: EncodedMargins, position: number): number => {
  if (position === sizes.length - 1) return (sizes[position] as number) * (ints[1] as number);
  return searchable.includes(position) ? (sizes[position] as number) : 0;
};
