/**
 * An attack on a function of few inputs that needs nothing but its values: the least c·y that it finds over a
 * box, with the input. Corners and random places, then from the best ones a pattern search whose steps shrink
 * to the digits of float64: what is reached lies next to the minimum, at a corner, a kink or within.
 */
import { uniformNumbers } from './numbers.js';

export interface Reached {
  readonly x: Float64Array;
  readonly value: number;
}

export interface AttackOptions {
  readonly seed: string;
  /** Random places and corners. */
  readonly places?: number;
  /** Places that a pattern search starts at. */
  readonly starts?: number;
}

/** Steps end at this share of the box. */
const FINEST = 2 ** -40;

/** The least value found over lower ≤ x ≤ upper. */
export function leastReached(
  valueAt: (x: Float64Array) => number,
  { lower, upper }: { readonly lower: Float64Array; readonly upper: Float64Array },
  { seed, places = 80, starts = 2 }: AttackOptions,
): Reached {
  const inputs = lower.length;
  const draws = uniformNumbers(seed, places * inputs);
  const at = (shares: ArrayLike<number>): Reached => {
    const x = Float64Array.from(lower, (low, i) => {
      const share = shares[i] as number;
      const high = upper[i] as number;
      return share === 0
        ? low
        : share === 1
          ? high
          : Math.min(high, Math.max(low, low + share * (high - low)));
    });
    const value = valueAt(x);
    return { x, value: Number.isFinite(value) ? value : Number.POSITIVE_INFINITY };
  };
  const candidates = Array.from({ length: places }, (_, k) => {
    const shares = Array.from({ length: inputs }, (_, i) => draws[k * inputs + i] as number);
    return k % 2 === 0 ? shares.map(Math.round) : shares;
  });
  const found = candidates
    .map((shares) => ({ shares, ...at(shares) }))
    .sort((a, b) => a.value - b.value)
    .slice(0, starts)
    .map((start, k) => descended(start, at, `${seed} ${k}`));
  return found.reduce((a, b) => (b.value < a.value ? b : a));
}

/** From one place along axes and random directions, steps halved where none helps. */
function descended(
  start: Reached & { readonly shares: readonly number[] },
  at: (shares: readonly number[]) => Reached,
  seed: string,
): Reached {
  let [shares, best]: [readonly number[], Reached] = [start.shares, start];
  const inputs = shares.length;
  const turns = uniformNumbers(seed, 64 * inputs);
  let turn = 0;
  for (let step = 0.25; step > FINEST; step /= 2) {
    for (let improved = true, rounds = 0; improved && rounds < 20; rounds++) {
      improved = false;
      const offset = (turn++ % 64) * inputs;
      const random = shares.map((_, i) => 2 * (turns[offset + i] as number) - 1);
      const axes = shares.map((_, axis) => shares.map((_, i) => (i === axis ? 1 : 0)));
      for (const direction of [...axes, random])
        for (const sign of [1, -1]) {
          const moved = shares.map((s, i) =>
            Math.min(1, Math.max(0, s + sign * step * (direction[i] as number))),
          );
          const there = at(moved);
          if (there.value < best.value) [shares, best, improved] = [moved, there, true];
        }
    }
  }
  return best;
}
