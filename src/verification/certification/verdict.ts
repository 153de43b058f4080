/**
 * Verdicts of a certification on each image, and accuracies of all of them together.
 *
 * Every image ends as exactly one of certified, falsified and undecided; the three accuracies are counts of
 * these verdicts.
 */
import { type BoundStage, batchStages } from '../proof/batch-size.js';

/** Stages in the order in which images pass them; the last, image by image, where it is asked for. */
export const stageNames = [...batchStages, 'branch-and-bound'] as const;
export type StageName = (typeof stageNames)[number];

interface Judged {
  /** Index in the split. */
  readonly image: number;
  readonly label: number;
}

/** No input in the ball changes the answer. */
export interface Certified extends Judged {
  readonly verdict: 'certified';
  readonly stage: BoundStage | 'branch-and-bound';
  /**
   * Proven lower bound of min over x' in the ball and j ≠ y of f_y(x') − f_j(x'), greater than 0. Branch and
   * bound proves that the margin is positive, not how large it is.
   */
  readonly margin: number;
}

/** An input in the ball, perhaps the image itself, is not given the label. */
export interface Falsified extends Judged {
  readonly verdict: 'falsified';
  readonly stage: 'natural' | 'attack' | 'branch-and-bound';
  /** Margin at the counterexample by a plain forward pass, at most 0. */
  readonly margin: number;
  /** [features], inside the ball. */
  readonly counterexample: Float32Array;
}

/** Neither a proof nor a counterexample was found. */
export interface Undecided extends Judged {
  readonly verdict: 'undecided';
  readonly stage: null;
  /** The best lower bound found: not enough for a proof. */
  readonly margin: number;
}

/** What is known of one image, exactly one of three. */
export type Verdict = Certified | Falsified | Undecided;

/** One stage of a certification. */
export interface StageReport {
  /** Images that entered it. */
  readonly images: number;
  readonly certified: number;
  readonly falsified: number;
  /** Wall clock. */
  readonly seconds: number;
  /** Reason for which the stage was left out, where it was. */
  readonly skipped?: string;
}

/** Accuracies in [0, 1]; certified ≤ robust accuracy ≤ adversarial. */
export interface Accuracies {
  /** The network is right at the image. */
  readonly natural: number;
  /** Proven for the whole ball. */
  readonly certified: number;
  /** No counterexample is known: certified or undecided. */
  readonly adversarial: number;
}

/** The outcome of a certification; accuracies are parts of the images that were asked for. */
export interface CertificationReport extends Accuracies {
  readonly images: number;
  /** Radius of the ball in pixels of [0, 1]. */
  readonly epsilon: number;
  /** Whether every proof bounds its rounding errors; left out where it was not asked for. */
  readonly sound?: boolean;
  readonly stages: Readonly<
    Record<'natural' | 'attack', StageReport> & Partial<Record<StageName, StageReport>>
  >;
  /** Wall clock of everything. */
  readonly seconds: number;
  /** One for each image, in the order of the images. */
  readonly verdicts: readonly Verdict[];
}

/** What of a verdict counts for accuracies. */
interface Judgement {
  readonly verdict: Verdict['verdict'];
  readonly stage: string | null;
}

/** The accuracies that verdicts amount to. */
export function accuraciesOf(verdicts: readonly Judgement[]): Accuracies {
  const part = (holds: (verdict: Judgement) => boolean): number =>
    verdicts.filter(holds).length / verdicts.length;
  return {
    natural: part(({ stage }) => stage !== 'natural'),
    certified: part(({ verdict }) => verdict === 'certified'),
    adversarial: part(({ verdict }) => verdict !== 'falsified'),
  };
}
