/**
 * RGS, randomised gradient smoothing: the average of gradients at perturbed parameters (Balauca et al., TMLR
 * 2025, arXiv 2403.07095).
 *
 * 1/n Σ_i ∇L(θ + σz_i) averages the *gradient*, so it is ∇L_σ(θ) where L has no jumps and misses what jumps
 * contribute where it has. In return a handful of samples is enough. σ decays to 0, by default at three
 * quarters of the run, and what is left is plain GRAD.
 *
 * Options beyond the paper: antithetic pairs ½[∇L(θ + σz) + ∇L(θ − σz)], in which the term of second order
 * cancels; σ relative to the weights (`layer-scales`); the part of jumps added (`unbiased-rgs`).
 */
import { z } from 'zod';
import type { BatchObjective, Vector } from '../evaluation/batch-objective.js';
import type { Sigma } from '../evaluation/sigma.js';
import { type Estimator, parseOptions, sampleKeys } from './estimator.js';
import { type LayerScales, layerScales, PERTURBED, relativeSigma, scaleOf } from './layer-scales.js';
import { sigmaDecaySchema, sigmaFactor } from './sigma-schedule.js';
import { unbiasedGradient } from './unbiased-rgs.js';

export const rgsSchema = z
  .strictObject({
    /** n, gradients per step while σ > 0; afterwards one. */
    samples: z.int().min(1).default(2),
    /** σ at the start, in units of θ, or relative to the weights. */
    sigma: z.number().min(0).default(1e-3),
    sigmaDecay: sigmaDecaySchema.prefault({ shape: 'linear', until: 0.75, final: 0 }),
    /** One σ for all coordinates, or of each layer `sigma` times the root mean square of its weights. */
    sigmaMode: z.enum(['global', 'relative']).default('global'),
    /** Whether biases are perturbed, too. */
    perturbed: z.enum(PERTURBED).default('all'),
    /** Gradients at both θ + σz and θ − σz: n/2 perturbations. */
    antithetic: z.boolean().default(false),
    /** Adds what jumps of L contribute to ∇L_σ. */
    unbiased: z.boolean().default(false),
  })
  .refine(
    ({ antithetic, samples }) => !antithetic || samples % 2 === 0,
    'expected an even number of samples for antithetic pairs',
  )
  .refine(
    ({ unbiased, antithetic, samples }) => !unbiased || samples >= (antithetic ? 4 : 2),
    'expected at least two perturbations for the unbiased estimate: samples 2, or 4 with antithetic pairs',
  )
  .refine(
    ({ unbiased, perturbed }) => !unbiased || perturbed === 'all',
    'expected all parameters perturbed for the unbiased estimate, as it has no gradient of the others',
  );
/**
 * Options of RGS: `samples` per step, `sigma` in units of θ or relative to weights, `sigmaDecay` over the
 * run, and what goes beyond the paper; all have defaults.
 */
export type RgsOptions = z.input<typeof rgsSchema>;

/** Layers, where their σ's differ: plain data. */
export type RgsState = LayerScales | null;

/**
 * 1/n Σ_i ∇L(θ + σz_i), z_i ∼ N(0, I), σ = sigma · decay(progress); ∇L(θ) once σ is 0. Loss and metrics are
 * averages over the samples.
 */
export function rgs(options: RgsOptions = {}): Estimator<RgsState> {
  const parsed = parseOptions('rgs', rgsSchema, options);
  const { samples, sigma, sigmaDecay, sigmaMode, perturbed, antithetic, unbiased } = parsed;

  async function sigmaAt(
    spread: number,
    layers: RgsState,
    theta: Vector,
    objective: BatchObjective,
  ): Promise<Sigma> {
    if (layers === null) return spread;
    const scale = scaleOf(layers, spread, perturbed);
    if (sigmaMode === 'relative') return relativeSigma(objective, theta, layers, scale);
    return { values: scale, groups: layers.groups };
  }
  return {
    name: 'rgs',
    needsGradient: true,
    needsHost: unbiased,
    init: (_, layers) => (sigmaMode === 'global' && perturbed === 'all' ? null : layerScales(layers)),
    async estimate(state, theta, objective, { key, step, epoch, epochs }) {
      const spread = sigma * sigmaFactor(sigmaDecay, epoch / epochs);
      if (spread === 0) return { state, ...(await objective.gradient(theta)) };
      const perturbations = {
        keys: sampleKeys(key, step, antithetic ? samples / 2 : samples),
        sigma: await sigmaAt(spread, state, theta, objective),
        antithetic,
      };
      const smoothed = unbiased
        ? await unbiasedGradient(objective, theta, perturbations)
        : await objective.meanGradient(theta, perturbations);
      return { state, ...smoothed };
    },
  };
}
