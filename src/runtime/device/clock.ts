/** Time that counters count. */

/** Nanoseconds of a clock that only goes forward. */
export const nanoseconds = (): bigint => BigInt(Math.round(1e6 * performance.now()));
