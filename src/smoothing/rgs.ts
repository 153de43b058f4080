/**
 * RGS, randomised gradient smoothing: the average of gradients at perturbed parameters (Balauca et al., TMLR
 * 2025, arXiv 2403.07095).
 *
 * 1/n Σ_i ∇L(θ + σz_i) averages the *gradient*, so it is ∇L_σ(θ) where L has no jumps and misses what jumps
 * contribute where it has. In return a handful of samples is enough. σ decays to 0, by default at three
 * quarters of the run, and what is left is plain GRAD.
 */
import { z } from 'zod';
import { type Estimator, parseOptions, sampleKeys } from './estimator.js';
import { sigmaDecaySchema, sigmaFactor } from './sigma-schedule.js';

export const rgsSchema = z.strictObject({
  /** n, gradients per step while σ > 0; afterwards one. */
  samples: z.int().min(1).default(2),
  /** σ at the start, in units of θ. */
  sigma: z.number().min(0).default(1e-3),
  sigmaDecay: sigmaDecaySchema.prefault({ shape: 'linear', until: 0.75, final: 0 }),
});
/**
 * Options of RGS: `samples` per step, `sigma` in units of θ, and `sigmaDecay` over the run; all have
 * defaults.
 */
export type RgsOptions = z.input<typeof rgsSchema>;

/**
 * 1/n Σ_i ∇L(θ + σz_i), z_i ∼ N(0, I), σ = sigma · decay(progress); ∇L(θ) once σ is 0. Loss and metrics are
 * averages over the samples.
 */
export function rgs(options: RgsOptions = {}): Estimator<null> {
  const { samples, sigma, sigmaDecay } = parseOptions('rgs', rgsSchema, options);
  return {
    name: 'rgs',
    needsGradient: true,
    init: () => null,
    async estimate(state, theta, objective, { key, step, epoch, epochs }) {
      const spread = sigma * sigmaFactor(sigmaDecay, epoch / epochs);
      if (spread === 0) return { state, ...(await objective.gradient(theta)) };
      const perturbations = { keys: sampleKeys(key, step, samples), sigma: spread };
      return { state, ...(await objective.meanGradient(theta, perturbations)) };
    },
  };
}
