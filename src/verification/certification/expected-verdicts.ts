/**
 * Certified sets: networks that others have published, with what is known of single images, to hold our
 * verdicts against theirs.
 *
 * ```json
 * {
 *   "source": "who published the network, and which verifier judged it",
 *   "network": "network.onnx",
 *   "dataset": "mnist", "epsilon": 0.1, "clipBox": true,
 *   "images": [{"image": 0, "verdict": "certified"}, {"image": 8, "verdict": "falsified"}]
 * }
 * ```
 * `image` is an index in the data set's test split. `certified` says that a sound verifier has proved it,
 * `falsified` that a counterexample is known; images of which neither is known are left out. If ours says the
 * opposite of theirs, one of the two is wrong.
 */
import { z } from 'zod';
import { FormatError } from '../../formats/format-error.js';
import type { Verdict } from './verdict.js';

const image = z.strictObject({
  image: z.int().min(0),
  verdict: z.enum(['certified', 'falsified']),
});

const certifiedSetSchema = z.strictObject({
  source: z.string().min(1),
  network: z.string().min(1),
  dataset: z.string().min(1),
  epsilon: z.number().gt(0).max(1),
  clipBox: z.boolean().default(true),
  /** How images are pooled, "2 max". */
  pool: z.string().optional(),
  images: z.array(image).min(1),
});
export type CertifiedSet = z.output<typeof certifiedSetSchema>;

/** The set that a JSON text holds. @throws FormatError, one line with what was expected where */
export function readCertifiedSet(text: string, source: string): CertifiedSet {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${source}: expected JSON; ${(error as Error).message}`);
  }
  const parsed = certifiedSetSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FormatError(`${source}: ${issue?.path.join('.') || 'the set'}: ${issue?.message}`);
  }
  const seen = new Set<number>();
  for (const { image: index } of parsed.data.images) {
    if (seen.has(index))
      throw new FormatError(`${source}: images: expected each image once, got ${index} twice`);
    seen.add(index);
  }
  return parsed.data;
}

export interface Agreement {
  /** Images with the same verdict. */
  readonly same: number;
  /** Images that ours leaves undecided. */
  readonly undecided: number;
  /** Images of which ours proves the opposite: none, unless one of the two is wrong. */
  readonly contradicted: readonly number[];
  /** Images that were not judged. */
  readonly missing: readonly number[];
}

/** How our verdicts stand to those of a set. */
export function agreement(
  { images }: Pick<CertifiedSet, 'images'>,
  verdicts: readonly Pick<Verdict, 'image' | 'verdict'>[],
): Agreement {
  const ours = new Map(verdicts.map(({ image: index, verdict }) => [index, verdict]));
  const of = (holds: (expected: string, got: string | undefined) => boolean): number[] =>
    images.filter(({ image: index, verdict }) => holds(verdict, ours.get(index))).map((each) => each.image);
  return {
    same: of((expected, got) => got === expected).length,
    undecided: of((_, got) => got === 'undecided').length,
    contradicted: of((expected, got) => got !== undefined && got !== 'undecided' && got !== expected),
    missing: of((_, got) => got === undefined),
  };
}
