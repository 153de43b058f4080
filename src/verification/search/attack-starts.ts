/**
 * Starts of descents: the box's centre, then uniform places and some corners, with large and small steps and
 * diversions, as the arrays that the descent's program reads.
 */
import { type DescentShape, descentInputs } from '../../attack/inequality-descent.js';
import { sizeOf } from '../../graph/index.js';
import { type Key, uniforms } from '../../runtime/random/keys.js';
import type { Inequality, Polytope } from '../property/property.js';

/** A bound that is always fulfilled, for rows that a polytope does not have. */
const FREE = 1e30;
/** Diversions outweigh inequalities, whose largest coefficient is 1. */
const DIVERSION = 1e4;
/**
 * First step sizes, in units of half the box's widths, of starts in turn: large ones cross the box, small
 * ones stay where they began, which is worth while where starts are dense: in boxes of few dimensions.
 */
const SIZES = { few: [0.5, 0.02, 0.1], many: [0.5, 0.1, 0.25] } as const;
const FEW_DIMENSIONS = 16;
/** One descent: where it begins and what it seeks. */
export interface Start {
  readonly polytope: number;
  /** Counts the starts of the polytope in this round. */
  readonly turn: number;
  readonly key: Key;
}

/**
 * The largest coefficient. Divided by it, the inequality that is furthest from being fulfilled is the one
 * with the largest value.
 */
function largestCoefficient({ outputs, inputs = new Float64Array(0) }: Inequality): number {
  const largest = (c: Float64Array): number => c.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return Math.max(largest(outputs), largest(inputs)) || 1;
}

/** The arrays of a batch of starts; columns beyond them repeat the first. */
export function feedsFor(
  shape: DescentShape,
  starts: readonly Start[],
  polytopes: readonly Polytope[],
  features: number,
  classes: number,
  round: number,
) {
  const extents = descentInputs(shape, features, classes);
  const feeds = Object.fromEntries(
    Object.entries(extents).map(([name, of]) => [name, new Float32Array(sizeOf(of))]),
  ) as Record<string, Float32Array>;
  const of = (name: keyof typeof extents) => feeds[name] as Float32Array;
  const { batch, rows } = shape;
  const draw = new Float32Array(features + classes);
  for (let column = 0; column < batch; column++) {
    const { polytope, turn, key } = (starts[column] ?? starts[0]) as Start;
    const { box, unsafe } = polytopes[polytope] as Polytope;
    uniforms(key, draw);
    const sizes =
      box.lower.filter((low, i) => low < (box.upper[i] as number)).length > FEW_DIMENSIONS
        ? SIZES.many
        : SIZES.few;
    const centred = turn === 0 && round === 0;
    const corner = turn % 4 === 0;
    for (let i = 0, k = column; i < features; i++, k += batch) {
      // Whatever float32 lies between the rounded ends is, moved into the box, read as that float32 again.
      const [low, high] = [Math.fround(box.lower[i] as number), Math.fround(box.upper[i] as number)];
      const u = draw[i] as number;
      const place = centred ? 0.5 : corner ? (u < 0.5 ? 0 : 1) : u;
      of('lower')[k] = low;
      of('upper')[k] = high;
      of('start')[k] = Math.min(high, Math.max(low, low + place * (high - low)));
    }
    of('size')[column] = sizes[turn % sizes.length] as number;
    of('reached')[column] = Number.POSITIVE_INFINITY;
    of('summed')[column] = unsafe.length > 1 && turn % 4 >= 2 ? 1 : 0;
    if (!centred && turn % 8 >= 4)
      for (let j = 0; j < classes; j++)
        of('diversion')[j * batch + column] = DIVERSION * (2 * (draw[features + j] as number) - 1);
    for (let row = 0; row < rows; row++) {
      const inequality = unsafe[row];
      of('bounds')[row * batch + column] = FREE;
      if (inequality === undefined) continue;
      const size = largestCoefficient(inequality);
      of('bounds')[row * batch + column] = inequality.bound / size;
      inequality.outputs.forEach((c, j) => {
        of('outputs')[(j * rows + row) * batch + column] = c / size;
      });
      inequality.inputs?.forEach((d, i) => {
        (feeds.inputs as Float32Array)[(i * rows + row) * batch + column] = d / size;
      });
    }
  }
  of('kept').set(of('start'));
  return feeds;
}
