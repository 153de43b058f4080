/**
 * Answers of the network at given inputs: margins and the size of the logits, by a plain forward pass; and
 * what rounding may do to it.
 */
import { enclosingRadius } from '../proof/rounding.js';
import { type Evaluation, paddedBatch } from './evaluation.js';

export interface Answer {
  /** argmax_j f_j(x), the first of several. */
  readonly class: number;
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
  { run, runDouble, double, programs, network }: Evaluation,
  x: Float32Array,
  labels: ArrayLike<number>,
  batch: number,
): Promise<Answer[]> {
  const { logits } = double
    ? await runDouble(programs.forward(batch, 'float64'), { images: Float64Array.from(x) })
    : await run(programs.forward(batch), { images: x });
  return Array.from(labels, (label, row): Answer => {
    let own = 0;
    let best = Number.NEGATIVE_INFINITY;
    let scale = 0;
    let largest = 0;
    for (let j = 0; j < network.classes; j++) {
      const value = (logits as Float32Array)[j * batch + row] as number;
      if (!Number.isFinite(value))
        throw new Error(
          `certify: expected finite logits, got ${value} for class ${j}; the network's parameters ` +
            'overflow float32',
        );
      if (value > ((logits as Float32Array)[largest * batch + row] as number)) largest = j;
      if (j === label) own = value;
      else best = Math.max(best, value);
      scale = Math.max(scale, Math.abs(value));
    }
    return { class: largest, margin: own - best, scale };
  });
}

/** Running errors of the logits of each image over its ball, [classes], by a program of this batch. */
export async function errorsOf(
  evaluation: Evaluation,
  images: readonly number[],
  batch: number,
): Promise<Float64Array[]> {
  const { run, programs, network, ball } = evaluation;
  const { images: x } = paddedBatch(evaluation, images, batch);
  const epsilon = Float32Array.of(enclosingRadius(ball.epsilon));
  const { error } = await run(programs.error(batch), { images: x, epsilon });
  return images.map((_, row) =>
    Float64Array.from(
      { length: network.classes },
      (_, j) => (error as Float32Array)[j * batch + row] as number,
    ),
  );
}
