/**
 * RGS made unbiased: its mean of gradients, and what the losses say of jumps between the points.
 *
 *   ĝ = 1/n Σ_i {g₋ᵢ + z_i/σ·[(r⁺_i − r⁻_i)/2 − g₋ᵢ·(σ∘z_i)]},  g₋ᵢ the mean of the gradients but the i-th,
 *
 * which does not depend on z_i, so that E ĝ = ∇L_σ(θ) with or without jumps (`jumps.ts`). It takes one
 * forward pass more for each gradient, and none with antithetic pairs, whose losses are all known.
 */
import type { BatchObjective, LossAndGradient, Vector } from '../evaluation/batch-objective.js';
import { opposite, type Sigma } from '../evaluation/sigma.js';
import { type HostGradient, mean } from '../evaluation/sums.js';
import type { Key } from '../runtime/random/keys.js';
import { type AntitheticLosses, halfDifferences, unexplained } from './jumps.js';

export interface UnbiasedPerturbations {
  /** At least 2. */
  readonly keys: readonly Key[];
  /** Above 0 everywhere. */
  readonly sigma: Sigma;
  readonly antithetic: boolean;
}

const lossesOf = (points: readonly LossAndGradient[]): Float64Array =>
  Float64Array.from(points, ({ loss }) => loss);

/** (n·mean − g)/(n − 1): the mean of all vectors but g. */
const without = (mean: Float32Array, g: Float32Array, n: number): Float32Array =>
  mean.map((value, j) => (n * value - (g[j] as number)) / (n - 1));

/**
 * The estimate above; its metric `jumps` is the part of the variation of L that gradients do not explain.
 * @throws TypeError for an objective that gives no single points; RangeError for fewer than two perturbations
 */
export async function unbiasedGradient(
  objective: BatchObjective,
  theta: Vector,
  { keys, sigma, antithetic }: UnbiasedPerturbations,
): Promise<HostGradient> {
  const { points } = objective;
  if (points === undefined || !(theta instanceof Float32Array))
    throw new TypeError('unbiased rgs: expected an objective that gives single points on the host, got none');
  const n = keys.length;
  if (n < 2) throw new RangeError(`unbiased rgs: expected at least 2 perturbations, got ${n}`);
  const opposites = { keys, sigma: opposite(sigma) };
  const plus = (await points.gradients(theta, { keys, sigma })) as readonly HostGradient[];
  const minus = antithetic ? ((await points.gradients(theta, opposites)) as readonly HostGradient[]) : [];
  const losses: AntitheticLosses = {
    plus: lossesOf(plus),
    minus: antithetic ? lossesOf(minus) : await points.losses(theta, opposites),
  };
  const pairs = plus.map((point, i) => mean([point, ...minus.slice(i, i + 1)]));
  const all = mean(pairs);
  const others = pairs.map(({ gradient }) => without(all.gradient, gradient, n));
  const projections = await points.projections(others, { keys, sigma });
  const values = halfDifferences(losses);
  const weights = values.map((a, i) => (a - (projections[i] as number)) / n);
  const correction = await points.scores(weights, { keys, sigma });
  return {
    loss: all.loss,
    gradient: all.gradient.map((g, j) => g + (correction[j] as number)),
    metrics: { ...all.metrics, jumps: unexplained(values, projections) },
  };
}
