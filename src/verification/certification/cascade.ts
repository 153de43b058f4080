/**
 * The certification cascade: proofs and counterexamples for the images of a split, cheapest first; an image
 * leaves when it is decided.
 *
 *   natural error → IBP → CROWN-IBP → CROWN → PGD on what no bound certifies
 *   → if asked for, branch and bound on what is left
 *
 * A certified image needs no attack, so adversarial accuracy counts it as robust. Batches of a stage run in
 * parallel on a pool of one-thread workers; verdicts depend neither on the number of threads nor, but for the
 * last bits of bounds, on batch sizes. Branch and bound takes one image after the other, each for a limited
 * time: what it leaves undecided, and which counterexample it finds, depends on the machine.
 */
import type { Split } from '../../data/dataset.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import type { ParameterArrays } from '../../network/parameters.js';
import type { Device } from '../../runtime/device/device.js';
import { withSmallerChunk } from '../../runtime/device/halving.js';
import { createPool, type Pool } from '../../runtime/pool/pool.js';
import { keyOf } from '../../runtime/random/keys.js';
import {
  type BatchStage,
  type BoundStage,
  batchFor,
  boundStages,
  type DeviceMemory,
  largestBatch,
  whySkipped,
} from '../proof/batch-size.js';
import { createContext } from '../proof/context.js';
import { isProof } from '../proof/rounding.js';
import { attackOnce } from './attack-stage.js';
import { lowerBounds, type MarginBounds } from './bound-stage.js';
import { createCompleteStage, type ImageProgress } from './complete-stage.js';
import { createEvaluation, type Evaluation, paddedBatch } from './evaluation.js';
import { type Answer, answers } from './forward-stage.js';
import {
  accuraciesOf,
  type CertificationReport,
  type StageName,
  type StageReport,
  stageNames,
  type Verdict,
} from './verdict.js';

/** How far a certification is; called after each batch. */
export interface CertificationProgress {
  readonly stage: StageName;
  /**
   * Images of this stage done, and in all; an attack passes the images that are left once for each restart.
   */
  readonly done: number;
  readonly total: number;
  /** Images decided so far, in all stages. */
  readonly certified: number;
  readonly falsified: number;
  /**
   * Of branch and bound: images that it had to leave, images in all, and where it is with the present one.
   */
  readonly search?: { readonly undecided: number; readonly images: number; readonly current?: ImageProgress };
}

/** Verdicts that outlive their process: those of earlier processes, and where each new one goes at once. */
export interface VerdictStore {
  readonly known: ReadonlyMap<number, Verdict>;
  append(verdict: Verdict): void;
}

/** Branch and bound on what all other stages leave open. */
export interface CompleteOptions {
  /** Wall clock for each image (default 60). */
  readonly secondsPerImage?: number;
  /** Bytes that open subproblems of an image may take (default 2 GiB). */
  readonly memoryBytes?: number;
  /** Images that it knows of are not searched again. */
  readonly store?: VerdictStore;
}

export interface CertificationOptions {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  readonly split: Split;
  /** Radius of the ball ‖x' − x‖∞ ≤ ε in pixels, in (0, 1]. */
  readonly epsilon: number;
  /** Cut the ball to [0, 1] (default true). */
  readonly clipBox?: boolean;
  /** Only the first images of the split (default all). */
  readonly limit?: number;
  /** Only these images of the split, ascending, instead of `limit`: verdicts name them by these indices. */
  readonly indices?: readonly number[];
  readonly attack?: {
    /** Gradient steps of a restart (default 40). */
    readonly steps?: number;
    /** Random starts for each image (default 3). */
    readonly restarts?: number;
  };
  /** Seed of the attack's random starts (default 0). */
  readonly seed?: number;
  /** Worker threads (default: as many as the processor runs at once). */
  readonly threads?: number;
  /** Where programs run (default cpu). */
  readonly device?: Device;
  /** What programs may take of a device's memory, of which batches follow (default: most of what is free). */
  readonly deviceMegabytes?: number;
  /** Workers to use instead of own ones; left open. */
  readonly pool?: Pool;
  /** Largest batches, where they should differ from what suits the network. */
  readonly batchSizes?: Readonly<Partial<Record<BatchStage, number>>>;
  /** Decides what is left by branch and bound (default: not). */
  readonly complete?: CompleteOptions;
  readonly progress?: (progress: CertificationProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Certifies images of a split.
 * @throws RangeError for options that make no sense; the reason of `signal` when it is aborted
 */
export async function certify(options: CertificationOptions): Promise<CertificationReport> {
  checkOptions(options);
  const { network, parameters, split, epsilon, clipBox: clip = true, signal } = options;
  const started = performance.now();
  const pool = options.pool ?? createPool(options.threads, options.device, options.deviceMegabytes);
  try {
    const { seed } = options;
    const context = createContext({ network, parameters, pool, seed, signal });
    const evaluation = createEvaluation(context, split, { epsilon, clip });
    const onDevice = pool.device === 'cpu' ? undefined : await pool.memory();
    const { verdicts, stages } = await new Cascade(evaluation, options, onDevice).run();
    return {
      ...accuraciesOf(verdicts),
      images: verdicts.length,
      epsilon,
      stages,
      seconds: secondsSince(started),
      verdicts,
    };
  } finally {
    if (options.pool === undefined) await pool.close();
  }
}

const secondsSince = (start: number): number => (performance.now() - start) / 1000;

type Decided = Exclude<Verdict, { verdict: 'undecided' }>;

/** One certification: its verdicts so far, and what is known of open images. */
class Cascade {
  /** Indices in the split; what is known of an image stands at its index. */
  readonly #images: readonly number[];
  readonly #verdicts: (Verdict | undefined)[];
  /** The best lower bound of each image's margin. */
  readonly #bounds: Float64Array;
  /** The best bound of each margin, for a search that needs not prove again what is proved. */
  readonly #margins = new Map<number, Float32Array>();
  readonly #answers: Answer[];
  readonly #stages: Partial<Record<StageName, StageReport>> = {};
  readonly #decided = { certified: 0, falsified: 0 };
  /** Batches that a device's memory did hold, where it did not hold those that were planned. */
  readonly #smaller = new Map<BatchStage, number>();

  constructor(
    readonly evaluation: Evaluation,
    readonly options: CertificationOptions,
    /** Memory of a device other than the CPU. */
    readonly onDevice: DeviceMemory | undefined,
  ) {
    const { count } = evaluation.split;
    this.#images = imagesOf(options);
    this.#verdicts = new Array(count);
    this.#bounds = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
    this.#answers = new Array(count);
  }

  async run(): Promise<Pick<CertificationReport, 'verdicts' | 'stages'>> {
    await this.#stage('natural', (images, batch) => this.#natural(images, batch));
    for (const name of boundStages)
      await this.#stage(name, (images, batch) => this.#boundBy(name, images, batch));
    const { restarts = 3 } = this.options.attack ?? {};
    await this.#stage('attack', (images, batch, restart) => this.#attack(images, batch, restart), restarts);
    if (this.options.complete) await this.#search(this.options.complete);
    const verdicts = this.#images.map((image) => this.#verdicts[image] ?? this.#undecided(image));
    const present = stageNames.filter((name) => this.#stages[name] !== undefined);
    const stages = Object.fromEntries(present.map((name) => [name, this.#stages[name]]));
    return { verdicts, stages: stages as CertificationReport['stages'] };
  }

  #labelOf(image: number): number {
    return this.evaluation.split.labels[image] as number;
  }

  #undecided(image: number): Verdict {
    const margin = this.#bounds[image] as number;
    return { image, label: this.#labelOf(image), verdict: 'undecided', stage: null, margin };
  }

  #decide(verdict: Decided): void {
    this.#verdicts[verdict.image] = verdict;
    this.#decided[verdict.verdict]++;
    this.#margins.delete(verdict.image);
  }

  #raise(image: number, bound: number): void {
    this.#bounds[image] = Math.max(this.#bounds[image] as number, bound);
  }

  #open(): number[] {
    return this.#images.filter((image) => this.#verdicts[image] === undefined);
  }

  #batchOf(name: BatchStage, images: number): number {
    const { evaluation, options, onDevice } = this;
    const largest =
      this.#smaller.get(name) ??
      options.batchSizes?.[name] ??
      largestBatch(evaluation.network, name, onDevice);
    return batchFor(largest, images, onDevice && 1);
  }

  /** Begins a stage that so many images enter. @returns its report, when it has ended */
  #begin(images: number): () => StageReport {
    const before = { ...this.#decided };
    const started = performance.now();
    return () => ({
      images,
      certified: this.#decided.certified - before.certified,
      falsified: this.#decided.falsified - before.falsified,
      seconds: secondsSince(started),
    });
  }

  /** Sends all open images through `work`, `passes` times. */
  async #stage(
    name: BatchStage,
    work: (images: readonly number[], batch: number, pass: number) => Promise<void>,
    passes = 1,
  ): Promise<void> {
    const entered = this.#open().length;
    const report = this.#begin(entered);
    const skipped = entered > 0 ? whySkipped(this.evaluation.network, name) : undefined;
    let done = 0;
    for (let pass = 0; pass < passes && skipped === undefined; pass++) {
      const images = this.#open();
      const batch = this.#batchOf(name, images.length);
      const total = done + images.length * (passes - pass);
      const tell = () => this.options.progress?.({ stage: name, done, total, ...this.#decided });
      // The first batch may take minutes.
      if (total > done) tell();
      const left = new Set(images);
      const all = (size: number) =>
        this.evaluation.each([...left], size, async (some) => {
          await work(some, size, pass);
          for (const image of some) left.delete(image);
          done += some.length;
          tell();
        });
      const { members } = await withSmallerChunk(batch, all, 'images');
      if (members < batch) this.#smaller.set(name, members);
    }
    this.#stages[name] = { ...report(), ...(skipped !== undefined && { skipped }) };
  }

  async #natural(images: readonly number[], batch: number): Promise<void> {
    const { images: x, labels } = paddedBatch(this.evaluation, images, batch);
    const given = await answers(this.evaluation, x, labels.subarray(0, images.length), batch);
    const features = x.length / batch;
    images.forEach((image, row) => {
      const answer = given[row] as Answer;
      this.#answers[image] = answer;
      const { margin } = answer;
      if (margin > 0) return;
      const counterexample = x.slice(row * features, (row + 1) * features);
      const label = this.#labelOf(image);
      this.#decide({ image, label, verdict: 'falsified', stage: 'natural', margin, counterexample });
    });
  }

  async #boundBy(stage: BoundStage, images: readonly number[], batch: number): Promise<void> {
    const found = await lowerBounds(this.evaluation, stage, images, batch);
    images.forEach((image, row) => {
      const { margins, smallest: bound } = found[row] as MarginBounds;
      const { margin, scale } = this.#answers[image] as Answer;
      if (this.options.complete) {
        const known = this.#margins.get(image);
        this.#margins.set(image, known ? margins.map((m, j) => Math.max(m, known[j] as number)) : margins);
      }
      this.#raise(image, Math.min(bound, margin));
      const label = this.#labelOf(image);
      if (isProof(bound, margin, scale))
        this.#decide({ image, label, verdict: 'certified', stage, margin: bound });
    });
  }

  async #attack(images: readonly number[], batch: number, restart: number): Promise<void> {
    const { attack, seed } = this.options;
    const budget = { steps: attack?.steps ?? 40, restart, key: keyOf(seed ?? 0) };
    for (const { image, example, margin } of await attackOnce(this.evaluation, images, batch, budget)) {
      const label = this.#labelOf(image);
      this.#decide({
        image,
        label,
        verdict: 'falsified',
        stage: 'attack',
        margin,
        counterexample: example,
      });
    }
  }

  async #search({ store, ...limits }: CompleteOptions): Promise<void> {
    const images = this.#open();
    const stageReport = this.#begin(images.length);
    const judge = createCompleteStage(this.evaluation, limits);
    let undecided = 0;
    for (const [index, image] of images.entries()) {
      const report = (done: number, current?: ImageProgress) =>
        this.options.progress?.({
          stage: 'branch-and-bound',
          done,
          total: images.length,
          ...this.#decided,
          search: { undecided, images: this.#images.length, current },
        });
      const known = store?.known.get(image);
      const verdict =
        known ?? (await judge(image, this.#margins.get(image), (current) => report(index, current)));
      if (known === undefined) store?.append(verdict);
      if (verdict.verdict !== 'undecided') this.#decide(verdict);
      else {
        undecided++;
        this.#raise(image, verdict.margin);
      }
      report(index + 1);
    }
    this.#stages['branch-and-bound'] = stageReport();
  }
}

/** The images that are certified. */
const imagesOf = ({
  split,
  limit,
  indices,
}: Pick<CertificationOptions, 'split' | 'limit' | 'indices'>): readonly number[] =>
  indices ?? Array.from({ length: limit ?? split.count }, (_, image) => image);

function checkOptions(options: CertificationOptions): void {
  const { network, parameters, split, epsilon, attack = {}, batchSizes = {}, complete = {} } = options;
  const refuse = (expected: string, got: unknown): never => {
    throw new RangeError(`certify: expected ${expected}, got ${got}`);
  };
  if (!(epsilon > 0 && epsilon <= 1)) refuse('ε in (0, 1], in pixels', epsilon);
  if (network.classes < 2) refuse('a network with at least 2 classes', network.classes);
  if (split.count < 1) refuse('at least one image', split.count);
  const features = split.images.length / split.count;
  if (features !== featuresOf(network.input))
    refuse(`images of ${network.input.join('×')} as the network reads them`, `${features} pixels`);
  const counts = {
    limit: options.limit,
    'attack steps': attack.steps,
    'attack restarts': attack.restarts,
    ...batchSizes,
  };
  for (const [name, value] of Object.entries(counts))
    if (value !== undefined && !(Number.isInteger(value) && value >= 1))
      refuse(`${name} to be an integer ≥ 1`, value);
  for (const [name, value] of Object.entries({
    'seconds per image': complete.secondsPerImage,
    'bytes of memory': complete.memoryBytes,
  }))
    if (value !== undefined && !(value > 0)) refuse(`${name} to be above 0`, value);
  checkImages(options, refuse);
  for (const [name, array] of Object.entries(parameters))
    if (!array.every(Number.isFinite)) refuse(`finite numbers in the parameter ${name}`, 'others');
}

function checkImages(
  { network, split, limit, indices }: CertificationOptions,
  refuse: (expected: string, got: unknown) => never,
): void {
  if (limit !== undefined && limit > split.count)
    refuse(`at most ${split.count} images, all there are`, limit);
  if (indices !== undefined) {
    if (limit !== undefined) refuse('`indices` or `limit`', 'both');
    if (indices.length === 0) refuse('at least one image', 'none');
    const wrong = indices.find(
      (image, i) =>
        !(
          Number.isInteger(image) &&
          image < split.count &&
          image > (i === 0 ? -1 : (indices[i - 1] as number))
        ),
    );
    if (wrong !== undefined) refuse(`ascending indices below ${split.count}`, wrong);
  }
  const strange = imagesOf({ split, limit, indices })
    .map((image) => split.labels[image] as number)
    .find((label) => label < 0 || label >= network.classes);
  if (strange !== undefined)
    refuse(`labels from 0 to ${network.classes - 1}, the network's classes`, strange);
}
