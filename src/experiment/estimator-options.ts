/** The options of a gradient estimator, as `smoothing/` takes them, from the settings of a run. */
import type { EstimatorOptions } from '../smoothing/index.js';
import type { Smoothing } from './settings/choices.js';
import type { Settings } from './settings/settings.js';

/** For `createEstimator(settings.smoothing, estimatorOptions(settings))`. */
export function estimatorOptions(settings: Settings): EstimatorOptions[Smoothing] {
  const { samples, sigma, sigmaMode, sigmaLearningRate, sigmaMin, sigmaMax, shaping } = settings;
  const sigmaDecay = {
    shape: settings.sigmaDecay,
    until: settings.sigmaDecayUntil,
    final: settings.sigmaDecayFactor,
  };
  switch (settings.smoothing) {
    case 'none':
      return {};
    case 'rgs':
      return { samples, sigma, sigmaDecay };
    case 'pgpe':
      return {
        samples,
        sigma,
        sigmaDecay,
        sigmaMode,
        sigmaLearningRate,
        sigmaMin,
        sigmaMax,
        sigmaBounds: 'absolute',
        shaping,
      };
  }
}
