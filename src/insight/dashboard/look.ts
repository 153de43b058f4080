/**
 * Look inside an image: what each relaxation says of its ball, which neurons are unstable there, what an
 * attack finds, and up to which radius the label is proved. Its programs and workers stay warm, so that a
 * step of ε costs what its bounds cost.
 *
 * Bounds, their thresholds and counterexamples are those of `tautnet certify`: a bound proves an image here
 * exactly where it does there.
 */
import type { Dataset, Split } from '../../data/dataset.js';
import { activitiesOf, type LayerActivity, reluBounds } from '../../evaluation/neuron-activity.js';
import { input, transpose } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import type { ParameterArrays } from '../../network/parameters.js';
import { inputBox } from '../../objective/input-box.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { createPool, type Pool } from '../../runtime/pool/pool.js';
import { keyOf } from '../../runtime/random/keys.js';
import { type Answer, answers, errorsOf } from '../../verification/certification/answers.js';
import { attackOnce } from '../../verification/certification/attack-stage.js';
import { lowerBounds } from '../../verification/certification/bound-stage.js';
import {
  createEvaluation,
  type Evaluation,
  paddedBatch,
} from '../../verification/certification/evaluation.js';
import { exactRadius, type RadiusBracket } from '../../verification/certification/exact-radius.js';
import { createPrograms, type Programs } from '../../verification/certification/programs.js';
import { type BoundStage, boundStages, whySkipped } from '../../verification/proof/batch-size.js';
import { createContext, type VerificationContext } from '../../verification/proof/context.js';
import { enclosingRadius, isProof, marginThreshold } from '../../verification/proof/rounding.js';
import { differenceOf, pictureOf } from '../report/picture.js';
import type {
  AttackAnswer,
  ExactAnswer,
  ImagesAnswer,
  LookAnswer,
  RadiusAnswer,
  RelaxationRow,
} from './answers.js';

/** Workers of one network: while one is busy with CROWN, the other answers. */
const THREADS = 2;
/** Restarts of PGD, of 40 steps each. */
const RESTARTS = 3;
/** The radius is searched for below this one, to LARGEST / 2^STEPS. */
const LARGEST = 0.5;
const STEPS = 9;

/** Tells radii as they become known. */
export type TellRadii = (...event: ['radius', RadiusAnswer] | ['exact', ExactAnswer]) => void;

export interface LookOptions {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  readonly dataset: Pick<Dataset, 'test' | 'shape'>;
  /** Cut the ball to [0, 1]. */
  readonly clip: boolean;
  /** Seconds for the exact radius of an image (default 20); it is not searched for in none. */
  readonly exactSeconds?: number;
}

/** What a network is opened with, whatever images are looked at. */
interface Opened {
  readonly pool: Pool;
  readonly evaluation: Evaluation;
  readonly neurons: Plan;
  /** Where exact radii are searched, once they are: a worker of its own, so that steps of ε need not wait. */
  searching?: { readonly context: VerificationContext; readonly programs: Programs };
}

function open({ network, parameters, dataset, clip }: LookOptions): Opened {
  const pool = createPool(THREADS);
  const context = createContext({ network, parameters, pool });
  const evaluation = createEvaluation(context, dataset.test, { epsilon: 0, clip });
  const x = transpose(input('images', [1, featuresOf(network.input)]));
  const outputs = reluBounds(network, inputBox(x, input('epsilon', []), clip));
  return { pool, evaluation, neurons: createPlan([{ kind: 'whole', outputs }]) };
}

/** Answers about the test images of one network; close it after use. */
export class ImageLook {
  readonly #options: LookOptions;
  readonly #opened: Opened;
  readonly #split: Split;
  readonly #shape: Dataset['shape'];
  readonly #evaluation: Evaluation;
  readonly #answers = new Map<number, Promise<Answer>>();

  constructor(options: LookOptions, opened = open(options)) {
    this.#options = options;
    this.#opened = opened;
    this.#split = options.dataset.test;
    this.#shape = options.dataset.shape;
    this.#evaluation = { ...opened.evaluation, split: this.#split };
  }

  /** The same open network, looked into on other images; closing either closes both. */
  on(images: Split): ImageLook {
    const dataset = { ...this.#options.dataset, test: images };
    return new ImageLook({ ...this.#options, dataset }, this.#opened);
  }

  /** The class that the network gives an image. */
  async classOf(image: number): Promise<number> {
    return (await this.#answer(image)).class;
  }

  /** Opens the programs of the fast relaxations in every worker. */
  async warm(): Promise<void> {
    await Promise.all(Array.from({ length: 2 * THREADS }, () => this.step(0, 0.1, ['ibp', 'crown-ibp'])));
  }

  get count(): number {
    return this.#split.count;
  }

  #at(epsilon: number): Evaluation {
    return { ...this.#evaluation, ball: { epsilon, clip: this.#options.clip } };
  }

  #pixels(image: number): Float32Array {
    return paddedBatch(this.#evaluation, [image], 1).images;
  }

  #answer(image: number): Promise<Answer> {
    const known =
      this.#answers.get(image) ??
      answers(this.#evaluation, this.#pixels(image), [this.#labelOf(image)], 1).then(
        ([one]) => one as Answer,
      );
    this.#answers.set(image, known);
    return known;
  }

  #labelOf = (image: number): number => this.#split.labels[image] as number;

  /** Lower bounds of the margins and whether they are a proof, as `tautnet certify` judges it. */
  async #bound(image: number, epsilon: number, stage: BoundStage): Promise<RelaxationRow> {
    const evaluation = this.#at(epsilon);
    const skipped = whySkipped(evaluation.network, stage);
    if (skipped !== undefined) return { relaxation: stage, margins: [], proves: false, skipped };
    const [[bound], { margin, scale }, [errors]] = await Promise.all([
      lowerBounds(evaluation, stage, [image], 1),
      this.#answer(image),
      errorsOf(evaluation, [image], 1),
    ]);
    if (bound === undefined || errors === undefined) throw new Error('look: expected bounds of one image');
    const threshold = marginThreshold(scale, this.#labelOf(image), errors);
    return {
      relaxation: stage,
      margins: Array.from(bound.margins, (value) => (Number.isFinite(value) ? value : null)),
      proves: margin > 0 && isProof(bound.smallest, margin, scale, threshold),
    };
  }

  async #layers(image: number, epsilon: number): Promise<LayerActivity[]> {
    const feeds = { images: this.#pixels(image), epsilon: Float32Array.of(enclosingRadius(epsilon)) };
    return activitiesOf(await this.#evaluation.run(this.#opened.neurons, feeds), 1);
  }

  /** An image's ball of radius ε, pixels of [0, 1], under some relaxations. */
  async step(image: number, epsilon: number, stages: readonly BoundStage[]): Promise<LookAnswer> {
    const started = performance.now();
    const label = this.#labelOf(image);
    const [{ margin }, layers, ...relaxations] = await Promise.all([
      this.#answer(image),
      this.#layers(image, epsilon),
      ...stages.map((stage) => this.#bound(image, epsilon, stage)),
    ]);
    const pixels = this.#pixels(image);
    const end = (sign: number) =>
      pictureOf(
        pixels.map((value) => value + sign * epsilon),
        this.#shape,
      );
    return {
      image,
      label,
      epsilon,
      margin,
      relaxations,
      layers,
      classes: Array.from({ length: this.#evaluation.network.classes }, (_, j) => j).filter(
        (j) => j !== label,
      ),
      pictures: { image: pictureOf(pixels, this.#shape), lower: end(-1), upper: end(1) },
      milliseconds: performance.now() - started,
    };
  }

  /** PGD on one image; what it finds has been seen by a plain forward pass. */
  async attack(image: number, epsilon: number): Promise<AttackAnswer> {
    const pixels = this.#pixels(image);
    const found = (changed: Float32Array, margin: number): AttackAnswer => ({
      epsilon,
      found: true,
      margin,
      picture: pictureOf(changed, this.#shape),
      difference: pictureOf(differenceOf(pixels, changed, epsilon || 1), this.#shape),
    });
    const { margin } = await this.#answer(image);
    if (margin <= 0) return found(pixels, margin);
    const key = keyOf(0);
    for (let restart = 0; restart < RESTARTS; restart++) {
      const [one] = await attackOnce(this.#at(epsilon), [image], 1, { steps: 40, restart, key });
      if (one) return found(one.example, one.margin);
    }
    return { epsilon, found: false };
  }

  /**
   * Tells the largest radius at which each relaxation was seen to prove the image, by bisection (`radius`; 0
   * for none), then what attacks and branch and bound know of the exact one (`exact`).
   * @throws the reason of `signal`
   */
  async radii(image: number, tell: TellRadii, signal: AbortSignal): Promise<void> {
    const stages = boundStages.filter((stage) => whySkipped(this.#evaluation.network, stage) === undefined);
    let largest = 0;
    for (const stage of stages) {
      let [proved, open] = [0, LARGEST];
      for (let step = 0; step < STEPS; step++) {
        signal.throwIfAborted();
        const middle = (proved + open) / 2;
        if ((await this.#bound(image, middle, stage)).proves) proved = middle;
        else open = middle;
      }
      tell('radius', { relaxation: stage, epsilon: proved });
      largest = Math.max(largest, proved);
    }
    const seconds = this.#options.exactSeconds ?? 20;
    if (seconds === 0 || (await this.#answer(image)).margin <= 0) return;
    const exact = (done: boolean) => (known: RadiusBracket) => tell('exact', { ...known, done, seconds });
    exact(false)({ proved: largest, broken: null });
    const options = { proved: largest, largest: LARGEST, precision: LARGEST / 2 ** STEPS };
    exact(true)(await exactRadius(this.#search(signal), image, { ...options, seconds, tell: exact(false) }));
  }

  /** The search's evaluation of these images. */
  #search(signal: AbortSignal): Evaluation {
    const { network, parameters, clip } = this.#options;
    this.#opened.searching ??= {
      context: createContext({ network, parameters, pool: createPool(1) }),
      programs: createPrograms(network, clip),
    };
    const { context, programs } = this.#opened.searching;
    const { split, ball } = this.#evaluation;
    return { ...createEvaluation({ ...context, signal }, split, ball), programs };
  }

  /** Test images to choose from. */
  images(from: number, count: number): ImagesAnswer {
    const last = Math.min(this.count, from + count);
    const thumbnails = Array.from({ length: Math.max(0, last - from) }, (_, i) => ({
      image: from + i,
      label: this.#labelOf(from + i),
      picture: pictureOf(this.#pixels(from + i), this.#shape),
    }));
    return { count: this.count, thumbnails };
  }

  async close(): Promise<void> {
    await Promise.all([this.#opened.pool.close(), this.#opened.searching?.context.pool.close()]);
  }
}
