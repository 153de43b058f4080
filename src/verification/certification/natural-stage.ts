/** The first stage: an image that the network gets wrong without any perturbation is falsified by itself. */
import { type Answer, answers } from './answers.js';
import type { ImageStage } from './certification.js';
import { paddedBatch } from './evaluation.js';

export const naturalStage: ImageStage = {
  name: 'natural',
  run: (open, certification, decide) =>
    certification.inBatches('natural', open, async (images, batch) => {
      const { evaluation } = certification;
      const { images: x, labels } = paddedBatch(evaluation, images, batch);
      const given = await answers(evaluation, x, labels.subarray(0, images.length), batch);
      const features = x.length / batch;
      images.forEach((image, row) => {
        const answer = given[row] as Answer;
        certification.answered(image, answer);
        const { margin } = answer;
        if (margin > 0) return;
        const counterexample = x.slice(row * features, (row + 1) * features);
        const label = certification.labelOf(image);
        decide(image, { image, label, verdict: 'falsified', stage: 'natural', margin, counterexample });
      });
    }),
};
