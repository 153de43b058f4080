/** Lower bounds of the margins over the ball, by one relaxation: positive ones are proofs. */
import { type BoundStage, whySkipped } from '../proof/batch-size.js';
import { enclosingRadius, isProof } from '../proof/rounding.js';
import type { ImageStage } from './certification.js';
import { type Evaluation, paddedBatch } from './evaluation.js';

/** Lower bounds of one image's margins. */
interface MarginBounds {
  /** f_y − f_j for the classes j ≠ y in ascending order; −∞ where there is no number. */
  readonly margins: Float32Array;
  readonly smallest: number;
}

/** Lower bounds for images, as many as fit a batch. */
async function lowerBounds(
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

/** The stage of a relaxation. */
export const boundStage = (stage: BoundStage): ImageStage => ({
  name: stage,
  skipped: ({ evaluation }) => whySkipped(evaluation.network, stage),
  run: (open, certification, decide) =>
    certification.inBatches(stage, open, async (images, batch) => {
      const found = await lowerBounds(certification.evaluation, stage, images, batch);
      const likely: { readonly image: number; readonly bound: number }[] = [];
      images.forEach((image, row) => {
        const { margins, smallest: bound } = found[row] as MarginBounds;
        const { margin, scale } = certification.answerOf(image);
        certification.bounded(image, margins);
        certification.raise(image, Math.min(bound, margin));
        if (isProof(bound, margin, scale)) likely.push({ image, bound });
      });
      const thresholds = await certification.thresholdsOf(likely.map(({ image }) => image));
      likely.forEach(({ image, bound }, k) => {
        const { margin, scale } = certification.answerOf(image);
        const label = certification.labelOf(image);
        if (isProof(bound, margin, scale, thresholds[k]))
          decide(image, { image, label, verdict: 'certified', stage, margin: bound });
      });
    }),
});
