/** What the page asks of its workers, and what they answer: plain data. */
import type { EpochCourse } from '../../experiment/train-in-memory.js';
import type { BoundStage } from '../../verification/proof/batch-size.js';
import type { ExactAnswer, RadiusAnswer } from '../dashboard/answers.js';

/** A digit: one of the test images, or the pixels of one that was drawn. */
export type Digit = { readonly image: number } | { readonly pixels: Uint8Array };

/**
 * Questions of the look-inside view, about the network that was opened last; training; and whether the
 * worker's device computes as the CPU does.
 */
export type Question =
  | { readonly kind: 'self-test' }
  | { readonly kind: 'open'; readonly name: string; readonly bytes: Uint8Array }
  | { readonly kind: 'images'; readonly from: number; readonly count: number }
  | {
      readonly kind: 'look';
      readonly digit: Digit;
      readonly epsilon: number;
      readonly relaxations: readonly BoundStage[];
    }
  | { readonly kind: 'attack'; readonly digit: Digit; readonly epsilon: number }
  | { readonly kind: 'radii'; readonly digit: Digit }
  | { readonly kind: 'certify'; readonly epsilon: number }
  | { readonly kind: 'train'; readonly epsilon: number; readonly epochs: number };

/** The network that is looked into. */
export interface NetworkAnswer {
  readonly name: string;
  readonly parameters: number;
  /** ReLUs. */
  readonly neurons: number;
  /** What the file says it was trained for, unchecked text. */
  readonly epsilon?: string;
}

/** Accuracies on the page's test digits, in [0, 1], as `tautnet certify` counts them. */
export interface CertifyAnswer {
  readonly images: number;
  readonly epsilon: number;
  readonly natural: number;
  readonly adversarial: number;
  readonly certified: number;
}

/** Radii of a digit, as far as they are known. */
export interface RadiiAnswer {
  readonly radii: readonly RadiusAnswer[];
  readonly exact?: ExactAnswer;
}

/** A network that was trained in the page. */
export interface TrainAnswer {
  /** As an ONNX file. */
  readonly bytes: Uint8Array;
}

/** What is told while a question is worked on: epochs of a training, radii as they become known. */
export type Told = EpochCourse | RadiiAnswer;

/** From a worker: an answer, what went wrong in one line, or what is known before. */
export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly problem: string }
  | { readonly id: number; readonly told: Told };
