/** What estimators need of many perturbed points, on the host and in float64: the mean of gradients, and weighted sums of scores. */
import type { LossAndGradient, Perturbation, WeightedScores } from './estimator.js';

/** 1/n Σ_i of losses, gradients and metrics, in the order given; of one point the point itself. */
export function mean(points: readonly LossAndGradient[]): LossAndGradient {
  const [first, ...others] = points;
  if (first === undefined) throw new RangeError('mean of gradients: expected one perturbation at least, got none');
  if (others.length === 0) return first;
  const n = points.length;
  const sum = new Float64Array(first.gradient.length);
  const metrics: Record<string, number> = {};
  let loss = 0;
  for (const point of points) {
    for (let j = 0; j < sum.length; j++) (sum[j] as number) += point.gradient[j] as number;
    for (const [name, value] of Object.entries(point.metrics)) metrics[name] = (metrics[name] ?? 0) + value / n;
    loss += point.loss / n;
  }
  return { loss, gradient: new Float32Array(sum.map((s) => s / n)), metrics };
}

/** Σ first·z/σ and Σ second·(z² − 1)/σ from the sums Σ first·z and Σ second·(z² − 1). */
export function scores({ first, second }: { readonly first: Float64Array; readonly second?: Float64Array }, sigma: Perturbation['sigma']): WeightedScores {
  const over = (s: number, j: number) => s / (typeof sigma === 'number' ? sigma : (sigma[j] as number));
  return { theta: new Float32Array(first.map(over)), sigma: second?.map(over) };
}
