/**
 * One certification while its images climb the ladder: what its stages share. Batches of a stage run in
 * parallel on the pool; what is known of open images – answers, bounds – is passed from stage to stage.
 */
import { withSmallerChunk } from '../../runtime/device/halving.js';
import {
  type BatchStage,
  batchFor,
  type DeviceMemory,
  largestBatch,
  largestSoundBatch,
} from '../proof/batch-size.js';
import type { Stage } from '../proof/ladder.js';
import { marginThreshold } from '../proof/rounding.js';
import { type Answer, errorsOf } from './answers.js';
import type { Evaluation } from './evaluation.js';
import { type CertificationOptions, type CertificationProgress, imagesOf } from './options.js';
import type { Certified, Falsified, StageName, Undecided } from './verdict.js';

/** A verdict that ends an image's way. */
export type Decided = Certified | Falsified;
/** One way to decide images. */
export type ImageStage = Stage<Certification, Decided, StageName>;

/** Images done in earlier passes of a stage, and images of all its passes. */
export interface Passes {
  readonly done: number;
  readonly total: number;
}

/** What bounds whose errors are taken off must exceed zero by, beside the size of the logits. */
const DOUBLE_THRESHOLD = 2 ** -45;

export class Certification {
  /** Indices in the split; what is known of an image stands at its index. */
  readonly images: readonly number[];
  readonly #answers: Answer[];
  /** The best lower bound of each image's margin. */
  readonly #bounds: Float64Array;
  /** The best bound of each margin, for a search that needs not prove again what is proved. */
  readonly #margins = new Map<number, Float32Array>();
  readonly #thresholds = new Map<number, number>();
  readonly #counts = { certified: 0, falsified: 0 };
  /** Batches that a device's memory did hold, where it did not hold those that were planned. */
  readonly #smaller = new Map<BatchStage, number>();

  constructor(
    readonly evaluation: Evaluation,
    readonly options: CertificationOptions,
    /** Memory of a device other than the CPU. */
    readonly onDevice: DeviceMemory | undefined,
  ) {
    const { count } = evaluation.split;
    this.images = imagesOf(options);
    this.#answers = new Array(count);
    this.#bounds = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  }

  labelOf(image: number): number {
    return this.evaluation.split.labels[image] as number;
  }

  /** The network's answer at the image itself, which the first stage finds. */
  answerOf(image: number): Answer {
    return this.#answers[image] as Answer;
  }

  answered(image: number, answer: Answer): void {
    this.#answers[image] = answer;
  }

  /** The best bounds of the margins, in the order of the classes j ≠ y; undefined before any is known. */
  marginsOf(image: number): Float32Array | undefined {
    return this.#margins.get(image);
  }

  /** Takes lower bounds of an image's margins, which only a search asks for again. */
  bounded(image: number, margins: Float32Array): void {
    if (this.options.complete === undefined) return;
    const known = this.#margins.get(image);
    this.#margins.set(image, known ? margins.map((m, j) => Math.max(m, known[j] as number)) : margins);
  }

  /** Takes a lower bound of an image's smallest margin. */
  raise(image: number, bound: number): void {
    this.#bounds[image] = Math.max(this.#bounds[image] as number, bound);
  }

  /**
   * What bounds of the margins of these images must exceed: `marginThreshold`, whose errors are asked for
   * where a bound may be a proof.
   */
  async thresholdsOf(images: readonly number[]): Promise<number[]> {
    const { evaluation } = this;
    if (evaluation.sound) return images.map((image) => DOUBLE_THRESHOLD * (1 + this.answerOf(image).scale));
    const unknown = images.filter((image) => !this.#thresholds.has(image));
    const batch = this.#batchOf('crown-ibp', unknown.length);
    for (let i = 0; i < unknown.length; i += batch) {
      const some = unknown.slice(i, i + batch);
      const errors = await errorsOf(evaluation, some, batch);
      some.forEach((image, row) => {
        const { scale } = this.answerOf(image);
        this.#thresholds.set(image, marginThreshold(scale, this.labelOf(image), errors[row] as Float64Array));
      });
    }
    return images.map((image) => this.#thresholds.get(image) as number);
  }

  /** Counts a verdict. */
  decided(image: number, { verdict }: Decided): void {
    this.#counts[verdict]++;
    this.#margins.delete(image);
    this.#thresholds.delete(image);
  }

  /** The verdict on an image that no stage decided. */
  undecided(image: number): Undecided {
    const margin = this.#bounds[image] as number;
    return { image, label: this.labelOf(image), verdict: 'undecided', stage: null, margin };
  }

  tell({ stage, done, total, search }: Omit<CertificationProgress, 'certified' | 'falsified'>): void {
    this.options.progress?.({ stage, done, total, ...this.#counts, ...(search && { search }) });
  }

  /** Sends images through `work` in batches, once, which is one of the stage's passes. */
  async inBatches(
    stage: BatchStage,
    images: readonly number[],
    work: (images: readonly number[], batch: number) => Promise<void>,
    { done, total }: Passes = { done: 0, total: images.length },
  ): Promise<void> {
    const batch = this.#batchOf(stage, images.length);
    const left = new Set(images);
    const tell = () => this.tell({ stage, done: done + images.length - left.size, total });
    // The first batch may take minutes.
    if (total > done) tell();
    const all = (size: number) =>
      this.evaluation.each([...left], size, async (some) => {
        await work(some, size);
        for (const image of some) left.delete(image);
        tell();
      });
    const { members } = await withSmallerChunk(batch, all, 'images');
    if (members < batch) this.#smaller.set(stage, members);
  }

  #batchOf(stage: BatchStage, images: number): number {
    const { evaluation, options, onDevice } = this;
    const largest =
      this.#smaller.get(stage) ??
      options.batchSizes?.[stage] ??
      (evaluation.sound
        ? largestSoundBatch(evaluation.network, stage)
        : largestBatch(evaluation.network, stage, onDevice));
    return batchFor(largest, images, onDevice && 1);
  }
}
