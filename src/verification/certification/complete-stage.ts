/**
 * The last stage, complete in principle: branch and bound for one image after the other, each for a limited
 * time, on all threads at once.
 *
 * What is to be proved is f_y > f_j over the enclosing ball, for the classes j that no earlier bound
 * excludes; what refutes it is a float32 image of the ball itself, at which a plain forward pass gives
 * another label. Programs are compiled once for all images.
 */
import { ball } from '../../attack/box.js';
import { inTime, TooLate } from '../proof/deadline.js';
import { enclosingRadius, isInside, proofThreshold } from '../proof/rounding.js';
import { renumbered } from '../proof/trace.js';
import { ballAround, overtakingPolytopes } from '../property/robustness.js';
import { createCompleteSearch } from '../search/complete-search.js';
import type { Certification, ImageStage } from './certification.js';
import { type Evaluation, isProofHere, paddedBatch } from './evaluation.js';
import type { CompleteOptions, ImageProgress } from './options.js';
import type { Verdict } from './verdict.js';

/** Seconds for an image, where the caller says nothing. */
export const IMAGE_SECONDS = 60;

/**
 * The search for one image. `known` are lower bounds of its margins by earlier stages, if any, in the order
 * of the classes j ≠ y, and what they must exceed.
 */
export type ImageSearch = (
  image: number,
  known: { readonly margins: Float32Array; readonly threshold: number } | undefined,
  progress?: (state: ImageProgress) => void,
) => Promise<Verdict>;

/** Search over the ball of an evaluation; programs are those of its context, compiled once. */
export function createImageSearch(
  evaluation: Evaluation,
  options: Omit<CompleteOptions, 'store'>,
): ImageSearch {
  const { context, network, programs, ball: around } = evaluation;
  const { secondsPerImage = IMAGE_SECONDS, memoryBytes, traced } = options;
  const evaluate = async (x: Float32Array) =>
    (evaluation.double
      ? await evaluation.runDouble(programs.forward(1, 'float64'), { images: Float64Array.from(x) })
      : await evaluation.run(programs.forward(1), { images: x })
    ).logits as Float32Array | Float64Array;
  const search = createCompleteSearch({ ...context, evaluate }, evaluation.sound);

  return async (image, known, progress) => {
    const deadline = performance.now() + 1000 * secondsPerImage;
    const { images: x, labels } = paddedBatch(evaluation, [image], 1);
    const label = labels[0] as number;
    const y = await inTime(evaluate(x), deadline).catch((error: unknown) => {
      if (error instanceof TooLate) return undefined;
      throw error;
    });
    if (y === undefined) return undecided(Number.NEGATIVE_INFINITY);
    const scale = Array.from(y).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const others = Array.from(y.keys()).filter((j) => j !== label);
    const open = others.flatMap((j, index) =>
      known &&
      isProofHere(
        evaluation,
        known.margins[index] as number,
        (y[label] as number) - (y[j] as number),
        scale,
        known.threshold,
      )
        ? []
        : [index],
    );
    const certified: Verdict = {
      image,
      label,
      verdict: 'certified',
      stage: 'branch-and-bound',
      margin: evaluation.sound ? Number.MIN_VALUE : proofThreshold(0),
    };
    if (open.length === 0) return certified;

    const enclosing = ballAround(x, { ...around, epsilon: enclosingRadius(around.epsilon) });
    const { lower, upper } = ball(x, around.epsilon, around.clip);
    const inside = { lower: Float64Array.from(lower), upper: Float64Array.from(upper) };
    const [proofs, targets] = [enclosing, inside].map((box) => {
      const all = overtakingPolytopes(box, label, network.classes);
      return open.map((index) => all[index] as (typeof all)[number]);
    }) as [ReturnType<typeof overtakingPolytopes>, ReturnType<typeof overtakingPolytopes>];
    progress?.({ image, subproblems: 0 });
    const { verdict, counterexample, lowerBound, traces } = await search(proofs, {
      targets,
      deadline,
      memoryBytes,
      traced: traced !== undefined,
      progress: ({ subproblems, lowerBound }) =>
        progress?.({ image, subproblems, ...(Number.isFinite(lowerBound) && { lowerBound }) }),
    });
    if (verdict === 'proved') {
      const numbered = (traces ?? []).map((trace) => renumbered(trace, (k) => open[k] as number));
      traced?.(image, numbered);
      return certified;
    }
    if (counterexample) {
      const example = Float32Array.from(counterexample.input);
      const margin =
        (counterexample.output[label] as number) -
        Math.max(...others.map((j) => counterexample.output[j] as number));
      if (margin <= 0 && isInside(example, x, around.epsilon, around.clip))
        return {
          image,
          label,
          verdict: 'falsified',
          stage: 'branch-and-bound',
          margin,
          counterexample: example,
        };
    }
    // What is not open is proved to be positive.
    return undecided(Math.min(lowerBound, 0));

    function undecided(bound: number): Verdict {
      const before =
        known?.margins.reduce((least, margin) => Math.min(least, margin), Number.POSITIVE_INFINITY) ??
        Number.NEGATIVE_INFINITY;
      return { image, label, verdict: 'undecided', stage: null, margin: Math.max(before, bound) };
    }
  };
}

async function knownOf(certification: Certification, image: number) {
  const margins = certification.marginsOf(image);
  if (margins === undefined) return undefined;
  const [threshold] = await certification.thresholdsOf([image]);
  return { margins, threshold: threshold as number };
}

/** Image after image; verdicts that a store knows are taken from it, others are told to it at once. */
export const completeStage: ImageStage = {
  name: 'branch-and-bound',
  async run(open, certification, decide) {
    const { store, ...limits } = certification.options.complete ?? {};
    const search = createImageSearch(certification.evaluation, limits);
    let undecided = 0;
    for (const [index, image] of open.entries()) {
      const tell = (done: number, current?: ImageProgress) =>
        certification.tell({
          stage: 'branch-and-bound',
          done,
          total: open.length,
          search: { undecided, images: certification.images.length, current },
        });
      const known = store?.known.get(image);
      const verdict =
        known ?? (await search(image, await knownOf(certification, image), (now) => tell(index, now)));
      if (known === undefined) store?.append(verdict);
      // Calls that outlasted the image's time are none of the next one's.
      if (verdict.verdict === 'undecided') certification.evaluation.context.pool.renew();
      if (verdict.verdict !== 'undecided') decide(image, verdict);
      else {
        undecided++;
        certification.raise(image, verdict.margin);
      }
      tell(index + 1);
    }
  },
};
