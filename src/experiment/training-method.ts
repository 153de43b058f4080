/** The training method that settings choose: its robust loss, its name in text, its measure of validation. */

import { methods } from '../objective/methods.js';
import type { RobustLoss } from '../objective/robust-loss.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import type { Method } from './settings/choices.js';
import type { Settings } from './settings/settings.js';

/**
 * For `createObjective({ robust })`; undefined for natural training. `relaxation` is that of the settings.
 */
export const robustLossOf = (
  settings: Settings,
  relaxation: Relaxation | undefined,
): RobustLoss | undefined => methods[settings.method].create(settings, relaxation);

/** What is minimised before it, up to `tapsStart`; undefined where the method begins at once. */
export const warmupLossOf = (
  settings: Settings,
  relaxation: Relaxation | undefined,
): RobustLoss | undefined =>
  settings.tapsStart > 0 ? methods[settings.method].warmup?.(settings, relaxation) : undefined;

/** "adversarial training", "certified training with crown", "SABR", "SABR with crown". */
export function methodTitle({ method, relaxation }: Pick<Settings, 'method' | 'relaxation'>): string {
  const { title, relaxations } = methods[method];
  const isImplied = relaxations === 'none' || (method !== 'certified' && relaxation === 'ibp');
  return isImplied ? title : `${title} with ${relaxation}`;
}

/**
 * Quality of a network by its measures on the validation images at the full ε, larger is better;
 * `TrainingMethod.score` says which of them counts. Certified training without a certified measure counts
 * natural accuracy.
 */
export function validationScore(method: Method, held: Readonly<Record<string, number>>): number | undefined {
  const { score } = methods[method];
  if (score === 'loss') return held.loss === undefined ? undefined : -held.loss;
  return score === 'certified' ? (held.certified ?? held.natural) : held[score];
}
