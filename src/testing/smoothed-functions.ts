/**
 * Functions of one variable whose Gaussian average L_σ(x) = E f(x + σz) has its derivatives in closed form,
 * as references for tests.
 */
import { normalCdf, normalDensity } from './normal-distribution.js';

export interface SmoothedFunction {
  readonly name: string;
  readonly f: (x: number) => number;
  /** f′ where it exists. */
  readonly slope: (x: number) => number;
  /** ∂L_σ/∂x. */
  readonly dx: (x: number, sigma: number) => number;
  /** ∂L_σ/∂σ. */
  readonly dSigma: (x: number, sigma: number) => number;
}

/** Σ over the jumps k ∈ ℤ of the staircase near x. */
const overSteps = (x: number, term: (distance: number) => number): number => {
  let sum = 0;
  for (let k = Math.floor(x) - 20; k <= x + 20; k++) sum += term(x - k);
  return sum;
};

export const smoothedFunctions: readonly SmoothedFunction[] = [
  { name: 'x²', f: (x) => x * x, slope: (x) => 2 * x, dx: (x) => 2 * x, dSigma: (_, s) => 2 * s },
  {
    name: 'the step 1[x > 0]',
    f: (x) => (x > 0 ? 1 : 0),
    slope: () => 0,
    dx: (x, s) => normalDensity(x / s) / s,
    dSigma: (x, s) => (-x / s ** 2) * normalDensity(x / s),
  },
  {
    name: '|x|',
    f: Math.abs,
    slope: Math.sign,
    dx: (x, s) => 2 * normalCdf(x / s) - 1,
    dSigma: (x, s) => 2 * normalDensity(x / s),
  },
  {
    name: 'the staircase ⌊x⌋',
    f: Math.floor,
    slope: () => 0,
    dx: (x, s) => overSteps(x, (d) => normalDensity(d / s) / s),
    dSigma: (x, s) => overSteps(x, (d) => (-d / s ** 2) * normalDensity(d / s)),
  },
];
