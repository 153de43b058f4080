/** Answers of the network at given inputs: margins and the size of the logits, by a plain forward pass. */
import type { Evaluation } from './evaluation.js';

export interface Answer {
  /** f_y(x) − max over j ≠ y of f_j(x). */
  readonly margin: number;
  /** max_j |f_j(x)|. */
  readonly scale: number;
}

/**
 * Answers for the first `labels.length` rows of x, [batch, features].
 * @throws Error if a logit is not finite
 */
export async function answers(
  { run, programs, network }: Evaluation,
  x: Float32Array,
  labels: ArrayLike<number>,
  batch: number,
): Promise<Answer[]> {
  const { logits } = await run(programs.forward(batch), { images: x });
  return Array.from(labels, (label, row): Answer => {
    let own = 0;
    let best = Number.NEGATIVE_INFINITY;
    let scale = 0;
    for (let j = 0; j < network.classes; j++) {
      const value = (logits as Float32Array)[j * batch + row] as number;
      if (!Number.isFinite(value))
        throw new Error(
          `certify: expected finite logits, got ${value} for class ${j}; the network's parameters ` +
            'overflow float32',
        );
      if (j === label) own = value;
      else best = Math.max(best, value);
      scale = Math.max(scale, Math.abs(value));
    }
    return { margin: own - best, scale };
  });
}
