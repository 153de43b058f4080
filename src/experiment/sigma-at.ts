/** σ of smoothing over a run: the chosen or learned σ times the factor of its decay. */
import { sigmaDecaySchema, sigmaFactor } from '../smoothing/sigma-schedule.js';
import { estimatorOptions } from './settings/estimator-settings.js';
import type { Settings } from './settings/settings.js';

/**
 * @param progress epochs done / epochs in all
 * @param state of the estimator, for a learned σ: the mean of its σ is taken
 * @returns undefined without smoothing
 */
export function sigmaAt(settings: Settings, progress: number, state?: unknown): number | undefined {
  if (settings.smoothing === 'none') return undefined;
  const { sigmaDecay = 'constant' } = estimatorOptions(settings) as { sigmaDecay?: 'constant' };
  const learned = (state as { readonly sigma?: unknown } | undefined)?.sigma;
  const sigma =
    learned instanceof Float64Array && learned.length > 0
      ? learned.reduce((sum, value) => sum + value, 0) / learned.length
      : settings.sigma;
  return sigma * sigmaFactor(sigmaDecaySchema.parse(sigmaDecay), progress);
}
