/**
 * Values that fixed inputs alone decide: masks, and the sums that they are divided by.
 *
 * A property's box may leave an input no choice. What depends on such inputs only is a number then, and a
 * product with it is affine. The number is computed as the file says it, in fractions of whole numbers,
 * through rearrangements, sums, means, constant factors and ReLU; nothing is rounded before the last step, to
 * the two float64 that constants of a file are folded with.
 */
import {
  type Exact,
  exactFloat,
  isNegative,
  nearest,
  productOf,
  quotientOf,
  sumOf,
} from '../../formats/vnnlib/exact.js';
import { INPUT } from '../network.js';
import { type DoubleDouble, type Doubles, doubles } from './double-double.js';
import { type Activation, type Draft, type DraftNode, sizeOf } from './draft.js';

/** Inputs that have one number each wherever the network is to stand for the file. */
export interface FixedInputs {
  /** The number of each input; NaN where it varies. */
  readonly numbers: ArrayLike<number>;
  /** Whether the file takes float32: a number of other digits is none that it is given. */
  readonly single: boolean;
  /** Inputs whose numbers the network was read with. Grows while the file is read. */
  readonly used: Set<number>;
}

/** Features that one value may depend on, and layers between. */
const MOST_FEATURES = 2 ** 16;
const DEEPEST = 200;

/**
 * The values of an activation, each within 2⁻⁹⁶ of the sizes of its terms; undefined where it depends on an
 * input that varies, or on more than sums of fixed ones. Marks the inputs that it depends on as used.
 */
export function fixedValues(draft: Draft, x: Activation, fixed: FixedInputs): Doubles | undefined {
  const size = x.view?.table.length ?? sizeOf(x.shape);
  const reading = new Reading(draft, fixed);
  const values: DoubleDouble[] = [];
  try {
    for (let i = 0; i < size; i++) {
      const value = reading.seen(x, i);
      if (value === undefined) return undefined;
      values.push(twoFloats(value));
    }
  } catch (error) {
    // Fractions of more digits than anybody needs.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  for (const input of reading.used) fixed.used.add(input);
  return doubles(size, (i) => values[i] as DoubleDouble);
}

function twoFloats(value: Exact): DoubleDouble {
  const high = nearest(value);
  return [high, nearest(sumOf(value, exactFloat(-high)))];
}

/** Features of draft nodes as exact numbers, each computed once. */
class Reading {
  readonly used = new Set<number>();
  readonly #known = new Map<string, Exact | undefined>();

  constructor(
    readonly draft: Draft,
    readonly fixed: FixedInputs,
  ) {}

  /** Feature i of an activation, which may be a view. */
  seen({ node, view }: Activation, i: number): Exact | undefined {
    const at = view === undefined ? i : (view.table[i] as number);
    return at < 0 ? exactFloat(view?.constants?.[i] ?? 0) : this.feature(node, at, 0);
  }

  feature(node: number, at: number, depth: number): Exact | undefined {
    if (node === INPUT) {
      const number = this.fixed.numbers[at] as number;
      this.used.add(at);
      const isGiven = !this.fixed.single || Math.fround(number) === number;
      return isGiven && Number.isFinite(number) ? exactFloat(number) : undefined;
    }
    const key = `${node} ${at}`;
    if (this.#known.has(key)) return this.#known.get(key);
    if (depth > DEEPEST || this.#known.size >= MOST_FEATURES) return undefined;
    const value = this.#through(this.draft[node] as DraftNode, at, depth + 1);
    this.#known.set(key, value);
    return value;
  }

  #through(node: DraftNode, at: number, depth: number): Exact | undefined {
    const of = (feature: number, k = 0) => this.feature(node.inputs[k] as number, feature, depth);
    switch (node.kind) {
      case 'selection': {
        const from = node.view.table[at] as number;
        return from < 0 ? exactFloat(node.view.constants?.[at] ?? 0) : of(from);
      }
      case 'join':
        return total(node.inputs.map((_, k) => of(at, k)));
      case 'pooling': {
        const terms = node.table.length / node.factors.length;
        const features = [...node.table.subarray(at * terms, (at + 1) * terms)].filter((i) => i >= 0);
        const sum = total(features.map((i) => of(i)));
        return sum === undefined ? undefined : timesFactor(sum, node.factors[at] as number);
      }
      case 'scale': {
        const x = of(at);
        if (x === undefined || (node.foldings ?? 0) > 0) return undefined;
        const bothOf = (high: Float64Array, low: Float64Array | undefined): Exact =>
          sumOf(exactFloat(high[at] as number), exactFloat(low?.[at] ?? 0));
        return sumOf(productOf(x, bothOf(node.weight, node.weightLow)), bothOf(node.bias, node.biasLow));
      }
      case 'relu': {
        const x = of(at);
        return x !== undefined && isNegative(x) ? 0 : x;
      }
      default:
        return undefined;
    }
  }
}

function total(terms: readonly (Exact | undefined)[]): Exact | undefined {
  let sum: Exact = 0;
  for (const term of terms) {
    if (term === undefined) return undefined;
    sum = sumOf(sum, term);
  }
  return sum;
}

/** A pool's factor is 1 or one over a number of terms, rounded. */
function timesFactor(sum: Exact, factor: number): Exact | undefined {
  const terms = Math.round(1 / factor);
  return factor === 1 / terms ? quotientOf(sum, terms) : undefined;
}
