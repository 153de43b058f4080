/**
 * What estimators need of many perturbed points, on the host and in float64: the mean of gradients, and
 * weighted sums of scores.
 */
import type { CoordinateRange } from '../runtime/random/normals.js';
import type { LossAndGradient, SigmaWeights, WeightedScores } from '../smoothing/estimator.js';
import type { BatchValues } from './batch-feeds.js';
import { perCoordinate, type Sigma } from './sigma.js';

/** 1/n Σ_i of losses and metrics, in the order given. */
export function meanValues(points: readonly BatchValues[]): BatchValues {
  const n = points.length;
  const metrics: Record<string, number> = {};
  let loss = 0;
  for (const point of points) {
    for (const [name, value] of Object.entries(point.metrics))
      metrics[name] = (metrics[name] ?? 0) + value / n;
    loss += point.loss / n;
  }
  return { loss, metrics };
}

/** 1/n Σ_i of losses, gradients and metrics, in the order given; of one point the point itself. */
export function mean(points: readonly LossAndGradient[]): LossAndGradient {
  const [first, ...others] = points;
  if (first === undefined)
    throw new RangeError('mean of gradients: expected one perturbation at least, got none');
  if (others.length === 0) return first;
  const sum = new Float64Array(first.gradient.length);
  for (const { gradient } of points)
    for (let j = 0; j < sum.length; j++) (sum[j] as number) += gradient[j] as number;
  return { ...meanValues(points), gradient: new Float32Array(sum.map((s) => s / points.length)) };
}

/**
 * Σ first·z/σ and Σ second·(z² − 1), averaged over groups, from the sums Σ first·z and Σ second·(z² − 1) of
 * each coordinate.
 */
export function scores(
  { first, second }: { readonly first: Float64Array; readonly second?: Float64Array },
  sigma: Sigma,
  groups?: SigmaWeights['groups'],
): WeightedScores {
  const spread = perCoordinate(sigma);
  const over = (s: number, j: number) => s / (typeof spread === 'number' ? spread : (spread[j] as number));
  const mean = ({ offset, size }: CoordinateRange) =>
    second?.subarray(offset, offset + size).reduce((sum, s) => sum + s / size, 0) ?? 0;
  return {
    theta: new Float32Array(first.map(over)),
    sigma: second && (groups ? Float64Array.from(groups, mean) : second),
  };
}
