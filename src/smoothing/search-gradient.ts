/**
 * The gradient of the smoothed loss L_σ(θ) = E L(θ + σ∘z), z ∼ N(0, I), from values of L alone (Sehnke et
 * al., "Parameter-exploring policy gradients", Neural Networks 2010), in θ and in σ.
 */

import type { BatchObjective, Perturbations, Vector } from '../evaluation/batch-objective.js';
import type { CoordinateRange } from '../runtime/random/normals.js';
import { halfDifferences, unexplained } from './jumps.js';
import { centeredRanks } from './rank-shaping.js';

/** Transformation of a population's losses: none, or their ranks mapped to [−½, ½]. */
export type Shaping = 'none' | 'centered-rank';

/** Ranges of coordinates that share a σ, or `each` for a σ of every coordinate. */
export type SigmaGroups = readonly CoordinateRange[] | 'each';

/** Shaping of losses, the σ's whose gradient is wanted, and a control variate. */
export interface SearchGradientOptions {
  readonly shaping?: Shaping;
  readonly sigmas?: SigmaGroups;
  /** g, a vector on the host that does not depend on the z_i. */
  readonly control?: Vector;
}

/** The gradient of L_σ(θ) = E_z L(θ + σz) from loss values alone. */
export interface SearchGradient {
  /** ∂L_σ/∂θ_j. */
  readonly gradient: Vector;
  /**
   * σ_j·∂L_σ/∂σ_j of each coordinate's own σ, or its mean over each group of coordinates: of a σ that they
   * share, its σ·∂L_σ/∂σ over their number.
   */
  readonly relativeSigmaGradient?: Vector;
  /** Mean of L over all evaluations, an estimate of L_σ(θ). */
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * With n antithetic pairs r±_i = L(θ ± σ∘z_i) and b the mean of r,
 *
 *   ∂θ_j ≈ 1/n · Σ_i z_ij (r⁺_i − r⁻_i)/(2σ_j),   σ_j∂σ_j ≈ 1/(n − 1) · Σ_i ((r⁺_i + r⁻_i)/2 − b)(z_ij² − 1).
 *
 * Both are unbiased. As b holds each pair's own loss, 1/n would shrink ∂σ by (n − 1)/n; dividing by n − 1 is
 * the same as a baseline from the other pairs. With a control variate g, ∂θ is
 *
 *   g + 1/n · Σ_i z_i/σ · [(r⁺_i − r⁻_i)/2 − g·(σ∘z_i)],
 *
 * unbiased, too (`jumps.ts`), and its metric `jumps` is what g does not explain. With `centered-rank` the 2n
 * losses are replaced by their centred ranks first: the estimates then follow the order of the losses, not
 * their size. σ > 0; ∂σ is only made with `sigmas`, of each coordinate or of groups, which needs two pairs.
 */
export async function searchGradient(
  objective: BatchObjective,
  theta: Vector,
  perturbations: Perturbations,
  { shaping = 'none', sigmas, control }: SearchGradientOptions = {},
): Promise<SearchGradient> {
  const { keys } = perturbations;
  const n = keys.length;
  if (n < (sigmas ? 2 : 1))
    throw new RangeError(`pgpe: expected at least ${sigmas ? '2 pairs to learn σ' : '1 pair'}, got ${n}`);
  const pairs = await objective.pairs(theta, perturbations);
  const losses = new Float64Array(2 * n);
  losses.set(pairs.plus);
  losses.set(pairs.minus, n);
  const odd = losses.findIndex((r) => !Number.isFinite(r));
  if (odd >= 0) {
    throw new RangeError(
      `pgpe: expected finite losses, got ${losses[odd]} at θ ${odd < n ? '+' : '−'} σ∘z of pair ` +
        `${odd % n}; lower sigma or the learning rate`,
    );
  }
  const loss = losses.reduce((sum, r) => sum + r, 0) / (2 * n);
  const shaped = shaping === 'centered-rank' ? centeredRanks(losses) : losses;
  const baseline = shaping === 'centered-rank' ? 0 : loss;
  const differences = Float64Array.from(
    keys,
    (_, i) => ((shaped[i] as number) - (shaped[n + i] as number)) / (2 * n),
  );
  const advantages = () =>
    Float64Array.from(
      keys,
      (_, i) => (((shaped[i] as number) + (shaped[n + i] as number)) / 2 - baseline) / (n - 1),
    );
  const second = sigmas && { weights: advantages(), ...(sigmas === 'each' ? {} : { groups: sigmas }) };
  if (control !== undefined) {
    const projections = await projectionsOf(objective, control, perturbations);
    const scores = await pairs.scores(
      differences.map((d, i) => d - (projections[i] as number) / n),
      second,
    );
    return {
      gradient: sum(control as Float32Array, scores.theta as Float32Array),
      relativeSigmaGradient: scores.sigma,
      loss,
      metrics: { ...pairs.metrics, jumps: unexplained(halfDifferences(pairs), projections) },
    };
  }
  const scores = await pairs.scores(differences, second);
  return { gradient: scores.theta, relativeSigmaGradient: scores.sigma, loss, metrics: pairs.metrics };
}

const sum = (a: Float32Array, b: Float32Array): Float32Array => a.map((x, j) => x + (b[j] as number));

/** g·(σ∘z_i) of each pair. @throws TypeError for a g or an objective on a device */
async function projectionsOf(
  { points }: BatchObjective,
  control: Vector,
  perturbations: Perturbations,
): Promise<Float64Array> {
  if (points === undefined || !(control instanceof Float32Array))
    throw new TypeError('pgpe: expected a control variate on the host, got one on a device');
  return points.projections([control], perturbations);
}
