/** The loss of a trained network under each of several relaxations: how far apart they are. */
import type { Split } from '../../data/dataset.js';
import { defaultMicroBatch } from '../../experiment/settings/micro-batch.js';
import type { Settings } from '../../experiment/settings/settings.js';
import type { Network } from '../../network/network.js';
import { flatten, type ParameterArrays, parameterLayout } from '../../network/parameters.js';
import { certified } from '../../objective/certified.js';
import { createObjective } from '../../objective/objective.js';
import { relaxationNamed } from '../../relaxation/index.js';
import type { Pool } from '../../runtime/pool/pool.js';
import { evaluateSplit } from '../../training/validation.js';

/** One network with its parameters and what it was trained for. */
export interface Measured {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  readonly settings: Settings;
  readonly split: Split;
}

/** Images that losses are the mean of, unless somebody says otherwise. */
export const LOSS_IMAGES = 256;

/** The first images of a split. */
export const firstOf = ({ images, labels, count }: Split, limit = count): Split => {
  const kept = Math.min(limit, count);
  return {
    images: images.subarray(0, (images.length / count) * kept),
    labels: labels.subarray(0, kept),
    count: kept,
  };
};

/**
 * L(θ) = 1/n Σ CE(worst-case logits of image i under a relaxation, yᵢ) at the full ε for each relaxation.
 *
 * @param names names of relaxations, or several joined by +
 */
export async function relaxationLosses(
  { network, parameters, settings, split }: Measured,
  names: readonly string[],
  pool: Pool,
): Promise<Record<string, number>> {
  const layout = parameterLayout(network);
  const theta = flatten(parameters, layout);
  const scalars = { epsilon: settings.epsilon, kappa: 1, regularization: 0 };
  const losses: Record<string, number> = {};
  for (const name of names) {
    const relaxation = relaxationNamed(name);
    const objective = createObjective({
      network,
      robust: certified(relaxation),
      clipBox: settings.clipBox,
      microBatch: Math.min(
        split.count,
        defaultMicroBatch({ ...settings, method: 'certified', relaxation: name }),
      ),
    });
    losses[name] = (await evaluateSplit(pool, objective, layout, theta, split, scalars)).loss as number;
  }
  return losses;
}
