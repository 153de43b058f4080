/** The images that a network gets wrong within the ball, beside what breaks them. */
import { readFile } from 'node:fs/promises';
import type { Dataset } from '../../data/dataset.js';
import { decodeSafetensors } from '../../formats/safetensors.js';
import { certificateFiles } from '../../verification/certification/certificate.js';
import type { CertificateLine } from '../../verification/certification/certificate-lines.js';
import { differenceOf, pictureOf } from './picture.js';

/** Pictures are data URIs. */
export interface HardImage {
  readonly image: number;
  readonly label: number;
  readonly stage: string;
  /** Margin at the counterexample. */
  readonly margin: number;
  readonly picture: string;
  readonly counterexample: string;
  readonly difference: string;
}

/**
 * Falsified images that are right without a perturbation, those with the most negative margin first.
 * @param verdicts path of `certificate.jsonl`; the counterexamples are beside it
 * @returns none where there are no counterexamples, or they do not fit the data set
 */
export async function hardestImages(
  verdicts: string,
  lines: readonly CertificateLine[],
  { test, shape }: Pick<Dataset, 'test' | 'shape'>,
  epsilon: number,
  most = 12,
): Promise<HardImage[]> {
  const features = test.images.length / test.count;
  const path = certificateFiles(verdicts).counterexamples;
  const bytes = await readFile(path).catch(() => undefined);
  const found = bytes && decodeSafetensors(bytes, path).tensors.counterexamples;
  if (found === undefined || found.shape[1] !== features) return [];
  const broken = lines.filter(
    ({ verdict, stage, counterexample, image }) =>
      verdict === 'falsified' &&
      stage !== 'natural' &&
      image < test.count &&
      (counterexample ?? found.shape[0] ?? 0) < (found.shape[0] ?? 0),
  );
  const hardest = broken.toSorted((a, b) => (a.margin ?? 0) - (b.margin ?? 0)).slice(0, most);
  return hardest.map(({ image, label, stage, margin, counterexample: row = 0 }) => {
    const pixels = Array.from(test.images.subarray(image * features, (image + 1) * features), (b) => b / 255);
    const changed = Array.from(found.data.subarray(row * features, (row + 1) * features), Number);
    return {
      image,
      label,
      stage: stage ?? '',
      margin: margin ?? Number.NaN,
      picture: pictureOf(pixels, shape),
      counterexample: pictureOf(changed, shape),
      difference: pictureOf(differenceOf(pixels, changed, epsilon), shape),
    };
  });
}
