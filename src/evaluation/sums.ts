/**
 * What estimators need of many perturbed points, on the host and in float64: the mean of gradients, and
 * weighted sums of scores.
 */
import type { CoordinateRange } from '../runtime/random/normals.js';
import type { BatchValues } from './batch-feeds.js';
import type { SigmaWeights } from './batch-objective.js';
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

/** Loss, gradient and metrics on the host. */
export interface HostGradient extends BatchValues {
  readonly gradient: Float32Array;
}

/** 1/n Σ_i of losses, gradients and metrics, in the order given; of one point the point itself. */
export function mean(points: readonly HostGradient[]): HostGradient {
  const [first, ...others] = points;
  if (first === undefined) throw new RangeError('mean of gradients: expected one point at least, got none');
  if (others.length === 0) return first;
  const sum = new Float64Array(first.gradient.length);
  for (const { gradient } of points)
    for (let j = 0; j < sum.length; j++) (sum[j] as number) += gradient[j] as number;
  return { ...meanValues(points), gradient: new Float32Array(sum.map((s) => s / points.length)) };
}

/** √(mean θ_j²) over each range of coordinates. */
export const rootMeanSquares = (theta: Float32Array, ranges: readonly CoordinateRange[]): Float64Array =>
  Float64Array.from(ranges, ({ offset, size }) =>
    Math.sqrt(theta.subarray(offset, offset + size).reduce((sum, x) => sum + (x * x) / size, 0)),
  );

/** σ∘v, of which the product with z is that of v with σ∘z. */
export function scaledBySigma(vector: Float32Array, sigma: Sigma): Float64Array {
  const spread = perCoordinate(sigma);
  return Float64Array.from(
    vector,
    (v, j) => v * (typeof spread === 'number' ? spread : (spread[j] as number)),
  );
}

/** Scores on the host. */
export interface HostScores {
  readonly theta: Float32Array;
  readonly sigma?: Float64Array;
}

/**
 * Σ first·z/σ and Σ second·(z² − 1), averaged over groups, from the sums Σ first·z and Σ second·(z² − 1) of
 * each coordinate.
 */
export function scores(
  { first, second }: { readonly first: Float64Array; readonly second?: Float64Array },
  sigma: Sigma,
  groups?: SigmaWeights['groups'],
): HostScores {
  const spread = perCoordinate(sigma);
  const over = (s: number, j: number) => s / (typeof spread === 'number' ? spread : (spread[j] as number));
  const mean = ({ offset, size }: CoordinateRange) =>
    second?.subarray(offset, offset + size).reduce((sum, s) => sum + s / size, 0) ?? 0;
  return {
    theta: new Float32Array(first.map(over)),
    sigma: second && (groups ? Float64Array.from(groups, mean) : second),
  };
}
