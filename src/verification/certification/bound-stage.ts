/** Lower bounds of the margins over the ball, by one relaxation: positive ones are proofs. */
import { neighbour } from '../../attack/box.js';
import { type BoundStage, type SoundStage, whySkipped } from '../proof/batch-size.js';
import { enclosingRadius, isProof } from '../proof/rounding.js';
import type { ImageStage } from './certification.js';
import { type Evaluation, isProofHere, paddedBatch } from './evaluation.js';

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
  const { run, programs, network, ball, sound } = evaluation;
  if (sound) return soundBounds(evaluation, stage as SoundStage, images, batch);
  const epsilon = Float32Array.of(enclosingRadius(ball.epsilon));
  const { margins } = await run(programs.bound(stage, batch), {
    ...paddedBatch(evaluation, images, batch),
    epsilon,
  });
  return marginsOf(margins as Float32Array, network.classes, images, batch);
}

/** Bounds in float64, with their rounding errors taken off. */
async function soundBounds(
  evaluation: Evaluation,
  stage: SoundStage,
  images: readonly number[],
  batch: number,
): Promise<MarginBounds[]> {
  const { runDouble, programs, network, ball } = evaluation;
  const { classes } = network;
  const { images: x, labels } = paddedBatch(evaluation, images, batch);
  const rows = new Float64Array(classes * (classes - 1) * batch);
  for (let column = 0; column < batch; column++) {
    const label = labels[column] as number;
    for (let row = 0; row < classes - 1; row++) {
      rows[(label * (classes - 1) + row) * batch + column] = 1;
      rows[((row < label ? row : row + 1) * (classes - 1) + row) * batch + column] = -1;
    }
  }
  const feeds = {
    images: Float64Array.from(x),
    epsilon: Float64Array.of(enclosingRadius(ball.epsilon)),
    rows,
  };
  const { margins } = await runDouble(programs.sound(stage, batch), feeds);
  return marginsOf(margins as Float64Array, classes, images, batch);
}

/** Each image's own column of margins [classes − 1, batch]. */
function marginsOf(
  margins: Float32Array | Float64Array,
  classes: number,
  images: readonly number[],
  batch: number,
): MarginBounds[] {
  return images.map((_, row) => {
    const own = Float32Array.from({ length: classes - 1 }, (_, j) => {
      const bound = margins[j * batch + row] as number;
      return Number.isNaN(bound) ? Number.NEGATIVE_INFINITY : floatBelow(bound);
    });
    return {
      margins: own,
      smallest: own.reduce((least, bound) => Math.min(least, bound), Number.POSITIVE_INFINITY),
    };
  });
}

/** The largest float32 that is not above. */
const floatBelow = (bound: number): number => {
  const near = Math.fround(bound);
  return near > bound ? neighbour(near, -1) : near;
};

/** The stage of a relaxation. */
export const boundStage = (stage: BoundStage): ImageStage => ({
  name: stage,
  skipped: ({ evaluation: { network, double, sound } }) =>
    double && stage !== 'crown'
      ? 'a float64 file is bounded in float64, by CROWN'
      : whySkipped(network, stage, sound),
  run: (open, certification, decide) =>
    certification.inBatches(stage, open, async (images, batch) => {
      const { evaluation } = certification;
      const found = await lowerBounds(evaluation, stage, images, batch);
      const likely: { readonly image: number; readonly bound: number }[] = [];
      images.forEach((image, row) => {
        const { margins, smallest: bound } = found[row] as MarginBounds;
        const { margin, scale } = certification.answerOf(image);
        certification.bounded(image, margins);
        certification.raise(image, Math.min(bound, margin));
        if (evaluation.sound || isProof(bound, margin, scale)) likely.push({ image, bound });
      });
      const thresholds = await certification.thresholdsOf(likely.map(({ image }) => image));
      likely.forEach(({ image, bound }, k) => {
        const { margin, scale } = certification.answerOf(image);
        const label = certification.labelOf(image);
        if (isProofHere(evaluation, bound, margin, scale, thresholds[k] as number))
          decide(image, { image, label, verdict: 'certified', stage, margin: bound });
      });
    }),
});
