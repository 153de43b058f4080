/**
 * Student's t and intervals of paired differences.
 *
 * Runs of two methods with one seed share their data order and initialisation, so what counts is the
 * difference seed by seed: d̄ ± t₍₁₊c₎⁄₂,ₙ₋₁ · s/√n with s the standard deviation of the n differences.
 */

/** An estimate with its interval at some confidence. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/**
 * P(T ≤ t) of Student's t with a whole number ν of degrees of freedom, by its finite series in
 * θ = arctan(t/√ν) (Abramowitz & Stegun 26.7.3 and 26.7.4).
 */
export function studentCdf(t: number, freedom: number): number {
  const theta = Math.atan(t / Math.sqrt(freedom));
  const [sine, cosine] = [Math.sin(theta), Math.cos(theta)];
  const odd = freedom % 2 === 1;
  // Odd: cos θ + (2/3) cos³ θ + …; even: 1 + (1/2) cos² θ + …; both up to cos^(ν − 2) θ.
  let term = odd ? cosine : 1;
  let series = 0;
  for (let power = odd ? 1 : 0; power <= freedom - 2; power += 2) {
    series += term;
    term *= ((power + 1) / (power + 2)) * cosine * cosine;
  }
  const within = odd ? (2 / Math.PI) * (theta + sine * series) : sine * series;
  return (1 + within) / 2;
}

/** The t below which T lies with probability p, in (0, 1), by bisection. */
export function studentQuantile(p: number, freedom: number): number {
  let [low, high] = [-1, 1];
  while (studentCdf(low, freedom) > p) low *= 2;
  while (studentCdf(high, freedom) < p) high *= 2;
  for (let i = 0; i < 200 && high - low > 1e-12 * Math.abs(high); i++) {
    const middle = (low + high) / 2;
    if (studentCdf(middle, freedom) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The middle one of numbers, of two in the middle their mean. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] as number) + (sorted[Math.floor(half)] as number)) / 2;
}

/** The mean of numbers with its t-interval; of fewer than two it is unbounded. */
export function meanInterval(values: readonly number[], confidence = 0.95): Interval {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { mean, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, count };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const half = studentQuantile((1 + confidence) / 2, count - 1) * Math.sqrt(variance / count);
  return { mean, low: mean - half, high: mean + half, count };
}

/** The mean of a − b over the pairs that both have, with its t-interval. */
export function pairedInterval(
  a: ReadonlyMap<number, number>,
  b: ReadonlyMap<number, number>,
  confidence = 0.95,
): Interval {
  const differences = [...a].flatMap(([seed, value]) => {
    const other = b.get(seed);
    return other === undefined ? [] : [value - other];
  });
  return meanInterval(differences, confidence);
}
