/**
 * Which random numbers belong to which perturbation: fixed by the run's key, the step and the sample, never
 * by who computes it.
 */
import { deriveKey, type Key } from '../runtime/random/keys.js';

/** Keys of the perturbations 0 … samples − 1 of one optimiser step. */
export function sampleKeys(key: Key, step: number, samples: number): Key[] {
  const stepKey = deriveKey(key, step, 0);
  return Array.from({ length: samples }, (_, sample) => deriveKey(stepKey, sample, 0));
}
