/**
 * PGPE: the gradient of the smoothed loss L_σ from values of L only (Sehnke et al., Neural Networks 2010; for
 * certified training Balauca et al., TMLR 2025, arXiv 2403.07095).
 *
 * Unbiased for ∇L_σ for any bounded measurable L, so any bound can be trained with, whether or not it has a
 * derivative. `search-gradient` holds the estimate, `search-distribution` the σ's, `sigma-schedule` their
 * decay; here they are put together.
 */
import { z } from 'zod';
import type { BatchObjective, Vector } from '../evaluation/batch-objective.js';
import type { Sigma } from '../evaluation/sigma.js';
import type { Key } from '../runtime/random/keys.js';
import { type EstimateContext, type Estimator, parseOptions, sampleKeys } from './estimator.js';
import {
  effectiveSigma,
  initialDistribution,
  type SearchDistribution,
  stepSigma,
} from './search-distribution.js';
import { searchGradient } from './search-gradient.js';
import { sigmaDecaySchema, sigmaFactor } from './sigma-schedule.js';

export const pgpeSchema = z
  .strictObject({
    /** n antithetic pairs per step: 2n evaluations of L. */
    samples: z.int().min(1).default(256),
    /** σ at the start, in units of θ. */
    sigma: z.number().positive().default(1e-3),
    /**
     * Whether all coordinates share one σ, each parameter tensor has its own, or each coordinate; `relative`:
     * σ of each tensor is in units of the root mean square of its layer's weights.
     */
    sigmaMode: z.enum(['global', 'layer', 'coordinate', 'relative']).default('global'),
    /** Relative change of σ per unit of σ·∂L/∂σ (see `stepSigma`); 0 keeps σ as it is but for the decay. */
    sigmaLearningRate: z.number().min(0).default(0),
    /**
     * Bounds of the learned σ, before decay: factors of the initial σ, or with `sigmaBounds: 'absolute'` in
     * units of θ.
     */
    sigmaMin: z.number().positive().optional(),
    sigmaMax: z.number().positive().optional(),
    sigmaBounds: z.enum(['relative', 'absolute']).default('relative'),
    /** Largest |Δσ|/σ of one step. */
    sigmaMaxChange: z.number().positive().max(1).default(0.2),
    sigmaDecay: sigmaDecaySchema.prefault('constant'),
    /**
     * `centered-rank` replaces the 2n losses by their ranks: robust to outliers, but the gradient loses its
     * scale (use Adam or ClipUp).
     */
    shaping: z.enum(['none', 'centered-rank']).default('none'),
    /**
     * g of ĝ = g + 1/n Σ z_i/σ·[(r⁺_i − r⁻_i)/2 − g·(σ∘z_i)], unbiased for any: 0, ∇L(θ), or the mean of
     * gradients at perturbations of their own. Where L has no derivative, that of the objective's guide.
     */
    controlVariate: z.enum(['none', 'gradient', 'rgs']).default('none'),
    /** Gradients of the control variate `rgs`. */
    controlSamples: z.int().min(1).default(8),
  })
  .transform((options) => {
    const { sigma, sigmaMin, sigmaMax, sigmaBounds } = options;
    const unit = sigmaBounds === 'relative' ? sigma : 1;
    return {
      ...options,
      sigmaMin: sigmaMin === undefined ? sigma / 10 : unit * sigmaMin,
      sigmaMax: sigmaMax === undefined ? 10 * sigma : unit * sigmaMax,
    };
  })
  .refine(
    ({ sigma, sigmaMin, sigmaMax }) => sigmaMin <= sigma && sigma <= sigmaMax,
    'expected sigmaMin ≤ sigma ≤ sigmaMax',
  )
  .refine(
    ({ sigmaDecay }) => sigmaDecay.final > 0,
    'sigmaDecay: expected a final factor above 0, as PGPE has no gradient at σ = 0',
  )
  .refine(
    ({ shaping, controlVariate }) => shaping === 'none' || controlVariate === 'none',
    'expected shaping none with a control variate, which explains losses and not their ranks',
  )
  .refine(
    ({ samples, sigmaLearningRate }) => sigmaLearningRate === 0 || samples > 1,
    'expected at least 2 samples to learn sigma',
  );

/** Every option has a default; bounds default to a tenth of and ten times the initial σ. */
export type PgpeOptions = z.input<typeof pgpeSchema>;

/**
 * ∇L_σ(θ) from n antithetic pairs on the same batch (formulas at `searchGradient`), and one step of the
 * learned σ. Its state is the σ's.
 */
export function pgpe(options: PgpeOptions = {}): Estimator<SearchDistribution> {
  const parsed = parseOptions('pgpe', pgpeSchema, options);
  const { samples, sigmaLearningRate, shaping, controlVariate, controlSamples } = parsed;
  const sigmaStep = {
    learningRate: sigmaLearningRate,
    maxChange: parsed.sigmaMaxChange,
    min: parsed.sigmaMin,
    max: parsed.sigmaMax,
  };
  /** σ after a step, on the host or where θ is. */
  async function stepped(
    distribution: SearchDistribution,
    relative: Vector,
    objective: BatchObjective,
  ): Promise<SearchDistribution> {
    const { sigma } = distribution;
    if (sigma instanceof Float64Array && relative instanceof Float64Array)
      return { ...distribution, sigma: stepSigma(sigma, relative, sigmaStep) };
    if (objective.stepSigma === undefined)
      throw new TypeError('pgpe: expected an objective that steps σ where it is, or a σ on the host');
    return { sigma: await objective.stepSigma(sigma, relative, sigmaStep) };
  }
  /** g, from perturbations that are not those of the pairs. */
  async function control(objective: BatchObjective, theta: Vector, sigma: Sigma, keys: readonly Key[]) {
    if (controlVariate === 'none') return undefined;
    const guide = objective.guide ?? objective;
    const found =
      controlVariate === 'gradient'
        ? await guide.gradient(theta)
        : await guide.meanGradient(theta, { keys, sigma });
    return found.gradient;
  }
  return {
    name: 'pgpe',
    needsGradient: controlVariate !== 'none',
    needsHost: controlVariate !== 'none',
    vectors: parsed.sigmaMode === 'coordinate' ? ['sigma'] : [],
    init: (parameters, layers) => initialDistribution(parsed.sigmaMode, parsed.sigma, parameters, layers),
    async estimate(state, theta, objective, { key, step, epoch, epochs }: EstimateContext) {
      const factor = sigmaFactor(parsed.sigmaDecay, epoch / epochs);
      const sigma = await effectiveSigma(state, factor, theta, objective);
      const sigmas = sigmaLearningRate > 0 ? (state.groups ?? 'each') : undefined;
      const keys = sampleKeys(key, step, samples + controlSamples);
      const perturbations = { keys: keys.slice(0, samples), sigma };
      const g = await control(objective, theta, sigma, keys.slice(samples));
      const search = await searchGradient(objective, theta, perturbations, { shaping, sigmas, control: g });
      const { gradient, relativeSigmaGradient, loss, metrics } = search;
      const next = relativeSigmaGradient ? await stepped(state, relativeSigmaGradient, objective) : state;
      return { state: next, gradient, loss, metrics };
    },
  };
}
