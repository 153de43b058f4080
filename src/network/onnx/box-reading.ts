/**
 * How a network that was read for fixed inputs stands for its file: the boxes of its inputs, and which other
 * networks have its programs.
 */
import { featuresOf } from '../layers/layer.js';
import { structureOf } from './assembly.js';
import type { CutDraft } from './decided.js';
import type { Draft } from './draft.js';
import { type Enclosed, enclosures, inputsOf } from './enclosure.js';

/** How a network that was read for fixed inputs stands for its file on a box. */
export interface BoxReading {
  /** Inputs of the file, the first ones of the network. */
  readonly inputs: number;
  /** Equal texts have equal programs (`structureOf`). */
  readonly structure: string;
  /**
   * The box of the network: the file's inputs, and behind them intervals that enclose what fixed inputs
   * decide. They depend on fixed inputs alone.
   */
  readonly extended: (box: BoxEnds) => BoxEnds;
}

interface BoxEnds {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/** The reading of a draft without what is decided, of a file with so many inputs. */
export const boxReading = (draft: Draft, read: CutDraft, inputs: number): BoxReading => ({
  inputs,
  structure: structureOf(read.draft, read.last),
  extended: extending(draft, read),
});

/** Relative error of a decimal, and of its neighbours in float64. */
const DECIMAL = 2 ** -51;

/** Boxes with the enclosures of what was cut; equal fixed inputs are computed once. */
function extending(draft: Draft, { cuts, input }: CutDraft): BoxReading['extended'] {
  const valuesOf = cuts.map(({ node }) => remembered(draft, node));
  return (box) => {
    if (cuts.length === 0) return box;
    const [lower, upper] = [box.lower, box.upper].map((ends) => {
      const longer = new Float64Array(featuresOf(input));
      longer.set(ends);
      return longer;
    }) as [Float64Array, Float64Array];
    cuts.forEach(({ at }, k) => {
      const { values, errors } = (valuesOf[k] as Enclosing)(box.lower);
      values.forEach((value, i) => {
        lower[at + i] = value - (errors[i] as number);
        upper[at + i] = value + (errors[i] as number);
      });
    });
    return { lower, upper };
  };
}

/** The enclosure of a node at an input. */
type Enclosing = (input: Float64Array) => Enclosed;

/** That of a draft's node; inputs that are equal where it reads them are computed once. */
function remembered(draft: Draft, node: number): Enclosing {
  const read = inputsOf(draft, [node]);
  const known = new Map<string, Enclosed>();
  return (values) => {
    const key = (read?.map((i) => values[i] as number) ?? [...values]).join(' ');
    const errors = values.map((value) => Math.abs(value) * DECIMAL);
    const found = known.get(key) ?? (enclosures(draft, [node], { values, errors })[0] as Enclosed);
    known.set(key, found);
    return found;
  };
}
