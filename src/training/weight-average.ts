/**
 * Stochastic weight averaging: the mean of the parameters at the ends of epochs, late in training (Izmailov
 * et al. 2018, arXiv 1803.05407).
 *
 * The mean lies further inside a flat region of the loss than the points that it is made of. It changes no
 * step: training goes on from θ, and the mean is what is exported.
 */

export interface WeightAverage {
  /** Points averaged. */
  readonly count: number;
  /** Their mean, in float64 so that hundreds of points lose no digits of a float32. */
  readonly theta: Float64Array;
}

/** θ̄ₙ₊₁ = θ̄ₙ + (θ − θ̄ₙ)/(n + 1). */
export function averagedWith(average: WeightAverage | undefined, theta: Float32Array): WeightAverage {
  if (average === undefined) return { count: 1, theta: Float64Array.from(theta) };
  if (average.theta.length !== theta.length)
    throw new RangeError(`weight average: expected ${average.theta.length} parameters, got ${theta.length}`);
  const count = average.count + 1;
  return { count, theta: average.theta.map((mean, i) => mean + ((theta[i] as number) - mean) / count) };
}

/** The parameters that a state of training stands for: the average once there is one, else θ. */
export const representative = ({
  theta,
  average,
}: {
  readonly theta: Float32Array;
  readonly average?: WeightAverage;
}): Float32Array => (average === undefined ? theta : Float32Array.from(average.theta));
