/**
 * The trial of a search that may not be the best one: it goes on as long as its bounds gain.
 *
 * When its time is over, the least bound of what is open must have come half of the way from where it began
 * to a proof. Then it has as much time again as it took so far, for half of what is still missing. Where nine
 * tenths of the whole way are gone, it goes on to the end.
 */
import type { Engine } from './engine.js';

/** Share of the time left that a trial takes at first, and its most seconds. */
const FIRST = { share: 0.15, seconds: 20 };
/** Share of what is missing that must be gained. */
const ENOUGH = 0.5;
/** Share of all that was missing, beyond which no other search will come as far. */
const MOST = 0.9;

export interface Trial {
  /** Expires with the trial. */
  readonly engine: Engine;
  /** Told the least bound of what is open, beside 0, which proves it; −∞ where nothing is known. */
  readonly watch: (lowerBound: number) => void;
}

/** @param clock seconds, as they pass for the search */
export function trialOf(engine: Engine, secondsLeft: number, clock: () => number): Trial {
  const began = clock();
  let ends = began + Math.min(FIRST.seconds, FIRST.share * secondsLeft);
  /** The bound that the trial is held against. */
  let mark = Number.NEGATIVE_INFINITY;
  let latest = Number.NEGATIVE_INFINITY;
  /** The bound that it began at. */
  let first = Number.NEGATIVE_INFINITY;
  let over = false;
  const failed = (): boolean => {
    if (clock() < ends) return false;
    if (!(latest > (1 - ENOUGH) * mark) && !(latest > (1 - MOST) * first)) return true;
    mark = latest;
    ends = began + 2 * (ends - began);
    return false;
  };
  return {
    watch(lowerBound) {
      latest = lowerBound;
      if (Number.isFinite(mark)) return;
      [mark, first] = [lowerBound, lowerBound];
    },
    engine: {
      ...engine,
      expired() {
        // Once over, a trial stays so: its lanes end one after another.
        over ||= engine.expired() || failed();
        return over;
      },
    },
  };
}
