/** Lower bounds of the margins over the ball, by one relaxation. */

import type { BoundStage } from '../proof/batch-size.js';
import { enclosingRadius } from '../proof/rounding.js';
import type { Evaluation } from './evaluation.js';
import { paddedBatch } from './evaluation.js';

/** Lower bounds of one image's margins. */
export interface MarginBounds {
  /** f_y − f_j for the classes j ≠ y in ascending order; −∞ where there is no number. */
  readonly margins: Float32Array;
  readonly smallest: number;
}

/** Lower bounds for images, as many as fit a batch. */
export async function lowerBounds(
  evaluation: Evaluation,
  stage: BoundStage,
  images: readonly number[],
  batch: number,
): Promise<MarginBounds[]> {
  const { run, programs, network, ball } = evaluation;
  const epsilon = Float32Array.of(enclosingRadius(ball.epsilon));
  const { margins } = await run(programs.bound(stage, batch), {
    ...paddedBatch(evaluation, images, batch),
    epsilon,
  });
  return images.map((_, row) => {
    const own = Float32Array.from({ length: network.classes - 1 }, (_, j) => {
      const bound = (margins as Float32Array)[j * batch + row] as number;
      return Number.isNaN(bound) ? Number.NEGATIVE_INFINITY : bound;
    });
    return {
      margins: own,
      smallest: own.reduce((least, bound) => Math.min(least, bound), Number.POSITIVE_INFINITY),
    };
  });
}
