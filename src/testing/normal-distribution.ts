/**
 * φ, Φ and the upper tail of N(0, 1) in double precision (Marsaglia, "Evaluating the normal distribution",
 * JSS 2004), as a reference for tests.
 */

/** φ(x) = exp(−x²/2)/√(2π). */
export const normalDensity = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** 1 − Φ(x), with a small relative error in the tail too. */
export function normalUpperTail(x: number): number {
  if (x < 0) return 1 - normalUpperTail(-x);
  if (x < 3) {
    // Φ(x) − ½ = φ(x)·(x + x³/3 + x⁵/(3·5) + …)
    let term = x;
    let sum = 0;
    for (let k = 3; sum + term !== sum; k += 2) {
      sum += term;
      term *= (x * x) / k;
    }
    return 0.5 - normalDensity(x) * sum;
  }
  // Laplace's continued fraction φ(x)/(x + 1/(x + 2/(x + 3/…)))
  let fraction = x;
  for (let k = 80; k > 0; k--) fraction = x + k / fraction;
  return normalDensity(x) / fraction;
}

/** Φ(x). */
export const normalCdf = (x: number): number => normalUpperTail(-x);
