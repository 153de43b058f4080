/** The robust loss that settings describe, from the method's file in `objective/`. */
import { ccIbp } from '../objective/cc-ibp.js';
import { certified } from '../objective/certified.js';
import { expIbp } from '../objective/exp-ibp.js';
import { mtlIbp } from '../objective/mtl-ibp.js';
import { pgdTraining } from '../objective/pgd-training.js';
import type { RobustLoss } from '../objective/robust-loss.js';
import { sabr } from '../objective/sabr.js';
import { staps } from '../objective/staps.js';
import { taps } from '../objective/taps.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import type { Method } from './settings/choices.js';
import type { Settings } from './settings/settings.js';

/**
 * For `createObjective({ robust })`; undefined for natural training. `relaxation` is that of the settings.
 */
export function robustLossOf(settings: Settings, relaxation: Relaxation | undefined): RobustLoss | undefined {
  const { lambda, alpha, tapsBlock: block, tapsEstimator: estimator, tapsWeight: weight } = settings;
  const attack = { steps: settings.attackSteps, stepSize: settings.attackStepSize };
  switch (settings.method) {
    case 'natural':
      return undefined;
    case 'pgd':
      return pgdTraining(attack);
    case 'certified':
      return relaxation && certified(relaxation, { fusion: settings.lossFusion });
    case 'sabr':
      return sabr({ lambda, relaxation, attack });
    case 'taps':
      return taps({ block, estimator, weight, attack });
    case 'staps':
      return staps({ block, estimator, weight, lambda, attack });
    case 'mtl-ibp':
      return mtlIbp({ alpha, relaxation, attack });
    case 'cc-ibp':
      return ccIbp({ alpha, relaxation, attack });
    case 'exp-ibp':
      return expIbp({ alpha, relaxation, attack });
  }
}

/** How a method is called in text. */
export function methodTitle({ method, relaxation }: Pick<Settings, 'method' | 'relaxation'>): string {
  if (method === 'natural') return 'natural training';
  if (method === 'pgd') return 'adversarial training';
  if (method === 'certified') return `certified training with ${relaxation}`;
  return `${TITLES[method]}${relaxation === 'ibp' ? '' : ` with ${relaxation}`}`;
}
const TITLES: Readonly<Record<Exclude<Method, 'natural' | 'pgd' | 'certified'>, string>> = {
  sabr: 'SABR',
  taps: 'TAPS',
  staps: 'STAPS',
  'mtl-ibp': 'MTL-IBP',
  'cc-ibp': 'CC-IBP',
  'exp-ibp': 'Exp-IBP',
};

/**
 * How good a network is by what was measured on the validation images at the full ε, larger is better: the
 * certified accuracy of certified training, the adversarial one of adversarial training. The other methods
 * train for a stronger verifier than a cheap bound, whose accuracy would choose the most regularised network:
 * theirs is the loss they minimise.
 */
export function validationScore(method: Method, held: Readonly<Record<string, number>>): number | undefined {
  if (method === 'natural') return held.natural;
  if (method === 'pgd') return held.adversarial;
  if (method === 'certified') return held.certified ?? held.natural;
  return held.loss === undefined ? undefined : -held.loss;
}
