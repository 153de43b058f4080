/**
 * Multi-targeted PGD: one attack for every wrong class (Gowal et al. 2019, arXiv 1910.09338).
 *
 * The untargeted margin follows whichever class is closest at the moment and can miss the one that is easiest
 * to reach; ascending f_t − f_y for each t in turn does not. It costs classes − 1 attacks for an image that
 * holds.
 */
import { deriveKey } from '../runtime/random/keys.js';
import type { Evaluator } from './attack-program.js';
import { ball } from './box.js';
import { type AttackResult, atImages, improve, type PgdOptions } from './pgd.js';

/** Class number k ≥ 1 after each label, cyclically: k = 1 … classes − 1 visits every wrong class once. */
export const targetsAfter = (labels: Int32Array, k: number, classes: number): Int32Array =>
  labels.map((label) => (label + k) % classes);

/**
 * PGD towards each wrong class, until an image's label falls; the evaluator's loss is `targeted`.
 * @throws RangeError as `pgd`
 */
export async function multiTargetPgd(
  evaluate: Evaluator,
  x: Float32Array,
  labels: Int32Array,
  epsilon: number,
  { classes, ...options }: PgdOptions & { readonly classes: number },
): Promise<AttackResult> {
  const box = ball(x, epsilon);
  const best = await atImages(evaluate, x, labels, targetsAfter(labels, 1, classes));
  for (let k = 1; k < classes; k++)
    await improve(
      evaluate,
      x,
      labels,
      box,
      best,
      { ...options, key: deriveKey(options.key, k, 0) },
      targetsAfter(labels, k, classes),
    );
  return best;
}
