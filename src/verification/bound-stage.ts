/** Lower bounds of the margins over the ball, by one relaxation. */
import type { Evaluation } from './evaluation.js';
import { paddedBatch } from './evaluation.js';
import { enclosingRadius } from './rounding.js';
import type { BoundStage } from './verdict.js';

/** The smallest margin's lower bound of each image, as many as fit a batch; −∞ where there is no number. */
export async function lowerBounds(evaluation: Evaluation, stage: BoundStage, images: readonly number[], batch: number): Promise<number[]> {
  const { run, programs, network, ball } = evaluation;
  const epsilon = Float32Array.of(enclosingRadius(ball.epsilon));
  const { margins } = await run(programs.bound(stage, batch), { ...paddedBatch(evaluation, images, batch), epsilon });
  return images.map((_, row) => {
    let smallest = Number.POSITIVE_INFINITY;
    for (let j = 0; j < network.classes - 1; j++) smallest = Math.min(smallest, (margins as Float32Array)[j * batch + row] as number);
    // Math.min hands a NaN on, whatever comes after it.
    return Number.isNaN(smallest) ? Number.NEGATIVE_INFINITY : smallest;
  });
}
