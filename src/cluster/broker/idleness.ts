/** How long a worker has had nothing to do, whether it has its server or not. */

export interface Idleness {
  /** Says that there is something to do. */
  busy(): void;
  /** Whether there was nothing for as long as the worker waits. */
  isOver(): boolean;
  /** Milliseconds until then. */
  left(): number;
}

/** @param seconds without a job after which a worker ends (default: never) */
export function idleness(seconds = Number.POSITIVE_INFINITY): Idleness {
  let last = performance.now();
  const left = (): number => last + 1000 * seconds - performance.now();
  return {
    busy: () => {
      last = performance.now();
    },
    left: () => Math.max(0, left()),
    isOver: () => left() <= 0,
  };
}
