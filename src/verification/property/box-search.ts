/**
 * The box of inputs during a search: bounds that are tightened and taken back again, and finished boxes that
 * are shared where they are equal.
 *
 * Boxes of a search often differ in few places from the bounds before its first choice, so a finished box is
 * looked up by those places alone; thousands of polytopes over one box of an image hold one copy of it.
 */
import type { Box } from './property.js';

export interface BoxSearch {
  /** x_i ≤ bound; false if the box is empty then. */
  below(i: number, bound: number): boolean;
  /** x_i ≥ bound; likewise. */
  above(i: number, bound: number): boolean;
  mark(): number;
  /** Takes back what was tightened since. */
  restore(mark: number): void;
  /** An input that has no finite bound yet, and which; undefined if there is none. */
  unbounded(): { input: number; side: 'lower' | 'upper' } | undefined;
  /** The bounds of an input at this moment. */
  bounds(i: number): readonly [lower: number, upper: number];
  /** The box, the same object as before where it is equal, and the number of places that were compared. */
  box(): { box: Box; steps: number };
  /** Number of different boxes. */
  readonly boxes: number;
}

/** The bounds before the first choice, and how many sides were tightened for them. */
interface Base {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  readonly mark: number;
}

/** The bits of an input and its bounds, mixed; boxes with equal changes get equal sums. */
function mixed(words: Int32Array, i: number): number {
  let hash = Math.imul(i + 1, 0x9e3779b1);
  for (const word of words) {
    hash = Math.imul(hash ^ word, 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  return hash;
}

export function createBoxSearch(inputs: number): BoxSearch {
  const lower = new Float64Array(inputs).fill(Number.NEGATIVE_INFINITY);
  const upper = new Float64Array(inputs).fill(Number.POSITIVE_INFINITY);
  let infinite = 2 * inputs;
  /** Tightened sides in order, 2i for a lower and 2i + 1 for an upper bound, and what they were before. */
  const sides: number[] = [];
  const values: number[] = [];
  let base: Base | undefined;
  /** The finished box, while no bound changes. */
  let current: Box | undefined;
  const byHash = new Map<number, { box: Box; count: number }[]>();
  let boxes = 0;
  const seen = new Int32Array(inputs);
  let pass = 0;
  const pair = new Float64Array(2);
  const words = new Int32Array(pair.buffer);

  const tighten = (side: number, array: Float64Array, i: number, bound: number): boolean => {
    if (!Number.isFinite(bound)) return false;
    sides.push(side);
    values.push(array[i] as number);
    if (!Number.isFinite(array[i])) infinite--;
    // −0 and 0 are the same bound.
    array[i] = bound + 0;
    current = undefined;
    return (lower[i] as number) <= (upper[i] as number);
  };

  /** Inputs whose bounds are not those before the first choice, each once. */
  const changesSince = ({ lower: baseLower, upper: baseUpper, mark }: Base): number[] => {
    pass++;
    const changes: number[] = [];
    // Stryker disable next-line EqualityOperator: beyond the last side stands none; input 0 is met twice
    for (let k = mark; k < sides.length; k++) {
      const i = (sides[k] as number) >> 1;
      if (seen[i] === pass) continue;
      seen[i] = pass;
      if (baseLower[i] !== lower[i] || baseUpper[i] !== upper[i]) changes.push(i);
    }
    return changes;
  };

  const finished = (from: Base): { box: Box; steps: number } => {
    const changes = changesSince(from);
    let steps = sides.length - from.mark;
    let hash = 0;
    for (const i of changes) {
      pair[0] = lower[i] as number;
      pair[1] = upper[i] as number;
      hash = (hash + mixed(words, i)) | 0;
    }
    const candidates = byHash.get(hash) ?? [];
    byHash.set(hash, candidates);
    for (const { box, count } of candidates) {
      steps += changes.length;
      // With as many changes, and these among them, its changes are these.
      if (
        count === changes.length &&
        changes.every((i) => box.lower[i] === lower[i] && box.upper[i] === upper[i])
      )
        return { box, steps };
    }
    boxes++;
    const box = { lower: lower.slice(), upper: upper.slice() };
    candidates.push({ box, count: changes.length });
    return { box, steps: steps + inputs };
  };

  return {
    below: (i, bound) => bound >= (upper[i] as number) || tighten(2 * i + 1, upper, i, bound),
    above: (i, bound) => bound <= (lower[i] as number) || tighten(2 * i, lower, i, bound),
    mark() {
      base ??= { lower: lower.slice(), upper: upper.slice(), mark: sides.length };
      return sides.length;
    },
    restore(mark) {
      if (sides.length > mark) current = undefined;
      while (sides.length > mark) {
        const side = sides.pop() as number;
        const array = (side & 1) === 0 ? lower : upper;
        array[side >> 1] = values.pop() as number;
        if (!Number.isFinite(array[side >> 1])) infinite++;
      }
    },
    unbounded() {
      if (infinite === 0) return undefined;
      const input = lower.findIndex((l, i) => !Number.isFinite(l) || !Number.isFinite(upper[i]));
      return { input, side: Number.isFinite(lower[input]) ? 'upper' : 'lower' };
    },
    bounds: (i) => [lower[i] as number, upper[i] as number],
    box() {
      if (current !== undefined) return { box: current, steps: 0 };
      base ??= { lower: lower.slice(), upper: upper.slice(), mark: sides.length };
      const { box, steps } = finished(base);
      current = box;
      return { box, steps };
    },
    get boxes() {
      return boxes;
    },
  };
}
