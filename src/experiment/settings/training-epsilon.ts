/**
 * The radius ε of training. It may differ from the radius that networks are judged at: published networks
 * for MNIST at 0.1 are trained at 0.2, as bounds over a larger ball leave margins for the smaller one.
 */
import type { Settings } from './settings.js';

/** In pixels of [0, 1]: `trainEpsilon` itself, or its factor "1.5x" of `epsilon`. */
export const trainingEpsilon = ({
  epsilon,
  trainEpsilon,
}: Pick<Settings, 'epsilon' | 'trainEpsilon'>): number =>
  typeof trainEpsilon === 'number' ? trainEpsilon : Number.parseFloat(trainEpsilon) * epsilon;
