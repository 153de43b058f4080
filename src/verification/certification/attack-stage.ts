/**
 * PGD on images that no bound certifies. Each image draws its random starts from a key of its own, so what is
 * found does not depend on how images are batched; a counterexample counts only after a plain forward pass
 * agrees that its margin is not positive.
 */
import { type Evaluator, evaluatorOf } from '../../attack/attack-program.js';
import { ball as ballAround, randomPoint } from '../../attack/box.js';
import { improve } from '../../attack/pgd.js';
import { deriveKey, type Key, keyOf } from '../../runtime/random/keys.js';
import { isInside } from '../proof/rounding.js';
import { answers } from './answers.js';
import type { ImageStage } from './certification.js';
import { type Evaluation, paddedBatch } from './evaluation.js';
import { ATTACK_GRADIENT } from './programs.js';

/** An image of the ball that the network gives another label. */
export interface Misclassified {
  readonly image: number;
  /** [features], inside the ball. */
  readonly example: Float32Array;
  /** By a plain forward pass, at most 0. */
  readonly margin: number;
}

/** Margins and gradients of the attack's loss for batches of one size, on the pool. */
function pooledEvaluator({ run, programs }: Evaluation, batch: number): Evaluator {
  const evaluate = async (...[plan, feeds]: Parameters<Evaluation['run']>) => {
    const outputs = await run(plan, feeds);
    return { outputs, gradients: [outputs[ATTACK_GRADIENT] as Float32Array] };
  };
  return evaluatorOf(evaluate, programs.attack(batch), {});
}

/** One restart of PGD for at most `batch` images: the counterexamples found. */
export async function attackOnce(
  evaluation: Evaluation,
  images: readonly number[],
  batch: number,
  { steps, restart, key }: { readonly steps: number; readonly restart: number; readonly key: Key },
): Promise<Misclassified[]> {
  const { epsilon, clip } = evaluation.ball;
  const { images: x, labels } = paddedBatch(evaluation, images, batch);
  const features = x.length / batch;
  const row = (of: Float32Array, index: number) => of.subarray(index * features, (index + 1) * features);
  const box = ballAround(x, epsilon, clip);
  const starts = x.slice();
  images.forEach((image, index) => {
    randomPoint(box, deriveKey(key, image, restart), index, features, starts);
  });
  // Padding counts as fallen already, so that the attack leaves it alone.
  const margins = new Float32Array(batch)
    .fill(Number.NEGATIVE_INFINITY)
    .fill(Number.POSITIVE_INFINITY, 0, images.length);
  const best = { examples: starts.slice(), margins };
  // One ascent that begins where it is told to.
  await improve(pooledEvaluator(evaluation, batch), starts, labels, box, best, {
    key,
    steps,
    restarts: 1,
    randomStart: false,
  });
  if (!images.some((_, index) => (best.margins[index] as number) <= 0)) return [];

  const checked = await answers(evaluation, best.examples, labels.subarray(0, images.length), batch);
  return images.flatMap((image, index): Misclassified[] => {
    const { margin } = checked[index] as { margin: number };
    const example = row(best.examples, index);
    return margin <= 0 && isInside(example, row(x, index), epsilon, clip)
      ? [{ image, example: example.slice(), margin }]
      : [];
  });
}

/** Restart after restart, each on the images that are left. */
export const attackStage: ImageStage = {
  name: 'attack',
  async run(open, certification, decide) {
    const { evaluation, options } = certification;
    const { steps = 40, restarts = 3 } = options.attack ?? {};
    const key = keyOf(options.seed ?? 0);
    let left = open;
    let done = 0;
    for (let restart = 0; restart < restarts; restart++) {
      const total = done + left.length * (restarts - restart);
      const fallen = new Set<number>();
      const attack = async (images: readonly number[], batch: number) => {
        const found = await attackOnce(evaluation, images, batch, { steps, restart, key });
        for (const { image, example, margin } of found) {
          fallen.add(image);
          decide(image, {
            image,
            label: certification.labelOf(image),
            verdict: 'falsified',
            stage: 'attack',
            margin,
            counterexample: example,
          });
        }
      };
      await certification.inBatches('attack', left, attack, { done, total });
      done += left.length;
      left = left.filter((image) => !fallen.has(image));
    }
  },
};
