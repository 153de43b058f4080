/**
 * PGD: projected gradient ascent of a loss in an L∞ ball (Madry et al. 2018, arXiv 1706.06083).
 *
 *   x⁰ uniform on the box;  xᵗ⁺¹ = Π(xᵗ + αₜ · sign ∇L(xᵗ)),  Π the projection onto the ball ∩ [0, 1]
 *
 * Of all points visited in all restarts each image keeps the one with the lowest margin. An image whose label
 * falls is done: it is not moved again, and one that is wrong to begin with is not moved at all.
 */
import { deriveKey, type Key } from '../runtime/random/keys.js';
import type { Evaluator } from './attack-program.js';
import { type AttackBox, ball, randomPoint, signedStep } from './box.js';

/**
 * Options of projected gradient descent, x ← Π(x + α·sign ∇ loss) (Madry et al. 2018); step sizes are in
 * units of ε.
 */
export interface PgdOptions {
  /** What the random starts are made from; the same key, images and evaluator give the same examples. */
  readonly key: Key;
  /** Gradient steps of each restart (default 40). */
  readonly steps?: number;
  /** Starts, each at another random point (default 1). */
  readonly restarts?: number;
  /** α of the first step, in units of ε (default 0.5). */
  readonly stepSize?: number;
  /**
   * Fractions of the steps after which α is multiplied by `decay` (default [0.5, 0.875]: of 8 steps, after 4
   * and 7).
   */
  readonly milestones?: readonly number[];
  /** Default 0.1. */
  readonly decay?: number;
  /** Start at a random point of the box (default) or at the image. */
  readonly randomStart?: boolean;
  /**
   * Leave an image alone once its margin is ≤ 0 (default). Training sets this to false, to look for still
   * worse examples.
   */
  readonly untilBroken?: boolean;
}

/** The best points that an attack found, one for each image. */
export interface AttackResult {
  /** [batch, features], inside the box exactly. */
  readonly examples: Float32Array;
  /** Margins there, [batch]: ≤ 0 = falsified. */
  readonly margins: Float32Array;
}

/** αₜ in units of the radius. */
export function stepSizeAt(
  step: number,
  steps: number,
  { stepSize = 0.5, milestones = [0.5, 0.875], decay = 0.1 }: Partial<PgdOptions> = {},
): number {
  return stepSize * decay ** milestones.filter((fraction) => step >= Math.round(fraction * steps)).length;
}

/** Rows that an attack still moves. */
const isOpen = (best: AttackResult, row: number, untilBroken: boolean): boolean =>
  !untilBroken || !((best.margins[row] as number) <= 0);

/** Where `margins` at `x` are lower than the best ones so far, x becomes the best. */
function keep(
  best: AttackResult,
  x: Float32Array,
  margins: Float32Array,
  features: number,
  untilBroken: boolean,
): void {
  for (let row = 0; row < margins.length; row++) {
    if (!isOpen(best, row, untilBroken) || !((margins[row] as number) < (best.margins[row] as number)))
      continue;
    best.margins[row] = margins[row] as number;
    best.examples.set(x.subarray(row * features, (row + 1) * features), row * features);
  }
}

/** The images themselves as the best examples so far. */
export async function atImages(
  evaluate: Evaluator,
  x: Float32Array,
  labels: Int32Array,
  targets?: Int32Array,
): Promise<AttackResult> {
  const { margins } = await evaluate(x, labels, targets);
  return { examples: x.slice(), margins: margins.slice() };
}

/** One ascent from `start` (overwritten); improves `best` in place. */
async function ascend(
  evaluate: Evaluator,
  start: Float32Array,
  labels: Int32Array,
  box: AttackBox,
  best: AttackResult,
  options: PgdOptions,
  targets?: Int32Array,
) {
  const { steps = 40, untilBroken = true } = options;
  const features = start.length / labels.length;
  const rows = Array.from(labels.keys());
  for (let step = 0; ; step++) {
    const { margins, gradient } = await evaluate(start, labels, targets);
    keep(best, start, margins, features, untilBroken);
    const open = rows.filter((row) => isOpen(best, row, untilBroken));
    if (step === steps || open.length === 0) return;
    for (const row of open) signedStep(box, start, gradient, stepSizeAt(step, steps, options), row, features);
  }
}

/**
 * Improves `best` in place by restarts of PGD in any box around images x [batch, features]: the attack that
 * others are made of.
 * @throws RangeError for options or extents that make no sense
 */
export async function improve(
  evaluate: Evaluator,
  x: Float32Array,
  labels: Int32Array,
  box: AttackBox,
  best: AttackResult,
  options: PgdOptions,
  targets?: Int32Array,
) {
  const { key, steps = 40, restarts = 1, randomStart = true, untilBroken = true } = options;
  const features = x.length / labels.length;
  if (!Number.isInteger(features) || box.lower.length !== x.length)
    throw new RangeError(
      `attack: expected [batch, features] images for ${labels.length} labels and ${box.lower.length} ` +
        `ends of a box, got ${x.length} values`,
    );
  for (const [name, value] of Object.entries({ steps, restarts }))
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`attack: expected ${name} to be an integer ≥ 1, got ${value}`);
  for (let restart = 0; restart < restarts; restart++) {
    if (!best.margins.some((_, row) => isOpen(best, row, untilBroken))) return;
    const start = x.slice();
    for (let row = 0; row < labels.length; row++) {
      // Without random starts the first ascent begins at the image; a second one there would only repeat it.
      if ((randomStart || restart > 0) && isOpen(best, row, untilBroken))
        randomPoint(box, deriveKey(key, restart, row), row, features, start);
    }
    await ascend(evaluate, start, labels, box, best, options, targets);
  }
}

/**
 * Adversarial examples within ε (pixels of [0, 1]) of images x [batch, features], and their margins.
 * @throws RangeError for options, pixels or extents that make no sense
 */
export async function pgd(
  evaluate: Evaluator,
  x: Float32Array,
  labels: Int32Array,
  epsilon: number,
  options: PgdOptions,
): Promise<AttackResult> {
  const box = ball(x, epsilon);
  const best = await atImages(evaluate, x, labels);
  await improve(evaluate, x, labels, box, best, options);
  return best;
}
