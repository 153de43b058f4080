/**
 * Schedules: numbers as functions of the epoch, fractional, from 0. Learning rate, ε and κ all use them; σ's
 * decay is in `smoothing`. Each is defined for every epoch and constant outside its span.
 */

export type Schedule = (epoch: number) => number;

/** An interval of epochs, start ≤ end, and the values at its two ends. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly from: number;
  readonly to: number;
}

const finite = (schedule: string, values: Readonly<Record<string, number>>): void => {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isFinite(value)) throw new RangeError(`${schedule}: expected a finite ${name}, got ${value}`);
  }
};

/**
 * from before the span, to after it, and from + (to − from)·shape(t) inside, t ∈ (0, 1) the part of the span
 * gone by; shape maps [0, 1] onto itself.
 */
function across(schedule: string, { start, end, from, to }: Span, shape: (t: number) => number): Schedule {
  finite(schedule, { start, end, from, to });
  if (start > end)
    throw new RangeError(
      `${schedule}: expected a span that ends after it starts, got epochs ${start} to ${end}`,
    );
  return (epoch) => {
    if (epoch >= end) return to;
    return epoch <= start ? from : from + (to - from) * shape((epoch - start) / (end - start));
  };
}

/** The same value at every epoch. */
export function constant(value: number): Schedule {
  finite('constant', { value });
  return () => value;
}

/** from + (to − from)·t: used for κ, say from 0 to 1. */
export const linear = (span: Span): Schedule => across('linear', span, (t) => t);

/**
 * from + (to − from)·(1 − cos πt)/2, flat at both ends (Loshchilov and Hutter, ICLR 2017, without restarts).
 */
export const cosine = (span: Span): Schedule =>
  across('cosine', span, (t) => (1 - Math.cos(Math.PI * t)) / 2);

/**
 * initial · factorᵏ, k = how many of the epochs `at` have been reached. The field multiplies the learning
 * rate by 0.2 twice.
 */
export function stepDecay(
  initial: number,
  { at, factor = 0.2 }: { readonly at: readonly number[]; readonly factor?: number },
): Schedule {
  finite('stepDecay', { initial, factor, ...Object.fromEntries(at.map((epoch, i) => [`at[${i}]`, epoch])) });
  return (epoch) => initial * factor ** at.filter((decay) => epoch >= decay).length;
}

/**
 * The "smooth" warm-up of ε (Xu et al. 2020, auto_LiRPA): with t = (epoch − start)/(end − start),
 *
 *   value = from + (to − from)·s(t),  s(t) = (256/13)·t⁴ for t ≤ 1/4,  s(t) = (16t − 3)/13 above.
 *
 * s is a·t⁴ continued by its tangent at t = 1/4, with a such that s(1) = 1; value (1/13) and slope (16/13)
 * agree at the seam. Both rise without a jump from 0, so the bounds loosen gently at first, when they are
 * worst; it ends exactly at `to`. ε in pixel units.
 */
export const smoothWarmup = (span: Span): Schedule =>
  across('smoothWarmup', span, (t) => (t <= 0.25 ? (256 / 13) * t ** 4 : (16 * t - 3) / 13));
