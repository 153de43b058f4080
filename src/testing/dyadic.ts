/**
 * Exact numbers m · 2^e for tests: sums and products of float64 without rounding, of which an arithmetic that
 * claims to bound them can be held.
 */

export interface Dyadic {
  readonly m: bigint;
  readonly e: number;
}

const view = new DataView(new ArrayBuffer(8));

/** A finite float64, exactly. */
export function dyadic(x: number): Dyadic {
  if (!Number.isFinite(x)) throw new RangeError(`dyadic: expected a finite number, got ${x}`);
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 2047n);
  const fraction = bits & (2n ** 52n - 1n);
  const m = exponent === 0 ? fraction : fraction | (2n ** 52n);
  return { m: bits >> 63n ? -m : m, e: (exponent || 1) - 1075 };
}

export function plus(a: Dyadic, b: Dyadic): Dyadic {
  if (a.m === 0n) return b;
  if (b.m === 0n) return a;
  const e = Math.min(a.e, b.e);
  return { m: (a.m << BigInt(a.e - e)) + (b.m << BigInt(b.e - e)), e };
}

export const times = (a: Dyadic, b: Dyadic): Dyadic => ({ m: a.m * b.m, e: a.e + b.e });

/** Whether a ≤ b. */
export const atMost = (a: Dyadic, b: Dyadic): boolean => plus(a, { m: -b.m, e: b.e }).m <= 0n;
