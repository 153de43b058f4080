/**
 * The certification cascade: proofs and counterexamples for the images of a split, cheapest first; an image
 * leaves when it is decided.
 *
 *   natural error → IBP → CROWN-IBP → CROWN → PGD on what no bound certifies → if asked for, branch and bound
 * on what is left
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
    const { verdicts, stages } = await cascade(evaluation, options, pool);
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

/** The stages one after another. */
async function cascade(
  evaluation: Evaluation,
  options: CertificationOptions,
  pool: Pool,
): Promise<Pick<CertificationReport, 'verdicts' | 'stages'>> {
  const { split, network, each } = evaluation;
  const count = options.limit ?? split.count;
  const verdicts = new Array<Verdict | undefined>(count);
  const bounds = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  /** The best bound of each margin, for a search that needs not prove again what is proved. */
  const margins = new Map<number, Float32Array>();
  const atImage = new Array<Answer>(count);
  const stages: Partial<Record<StageName, StageReport>> = {};
  const decided = { certified: 0, falsified: 0 };
  const labelOf = (image: number): number => split.labels[image] as number;
  const decide = (verdict: Exclude<Verdict, { verdict: 'undecided' }>): void => {
    verdicts[verdict.image] = verdict;
    decided[verdict.verdict]++;
    margins.delete(verdict.image);
  };
  const open = (): number[] =>
    Array.from({ length: count }, (_, image) => image).filter((image) => verdicts[image] === undefined);

  const onDevice = pool.device === 'cpu' ? undefined : await pool.memory();
  /** Batches that a device's memory did hold, where it did not hold those that were planned. */
  const smaller = new Map<BatchStage, number>();
  const batchOf = (name: BatchStage, images: number): number =>
    batchFor(
      smaller.get(name) ?? options.batchSizes?.[name] ?? largestBatch(network, name, onDevice),
      images,
      onDevice && 1,
    );

  /** What a stage that began at `started`, with so many images and verdicts, has done. */
  const reportOf = (images: number, before: typeof decided, started: number): StageReport => {
    const found = {
      certified: decided.certified - before.certified,
      falsified: decided.falsified - before.falsified,
    };
    return { images, ...found, seconds: secondsSince(started) };
  };

  /** Sends all open images through `work`, `passes` times. */
  const stage = async (
    name: BatchStage,
    work: (images: readonly number[], batch: number, pass: number) => Promise<void>,
    passes = 1,
  ): Promise<void> => {
    const entered = open().length;
    const before = { ...decided };
    const started = performance.now();
    const skipped = entered > 0 ? whySkipped(network, name) : undefined;
    let done = 0;
    for (let pass = 0; pass < passes && skipped === undefined; pass++) {
      const images = open();
      const batch = batchOf(name, images.length);
      const total = done + images.length * (passes - pass);
      // The first batch may take minutes.
      if (total > done) options.progress?.({ stage: name, done, total, ...decided });
      const left = new Set(images);
      const all = (size: number) =>
        each([...left], size, async (some) => {
          await work(some, size, pass);
          for (const image of some) left.delete(image);
          done += some.length;
          options.progress?.({ stage: name, done, total, ...decided });
        });
      const { members } = await withSmallerChunk(batch, all, 'images');
      if (members < batch) smaller.set(name, members);
    }
    stages[name] = { ...reportOf(entered, before, started), ...(skipped !== undefined && { skipped }) };
  };

  await stage('natural', async (images, batch) => {
    const { images: x, labels } = paddedBatch(evaluation, images, batch);
    const given = await answers(evaluation, x, labels.subarray(0, images.length), batch);
    const features = x.length / batch;
    images.forEach((image, row) => {
      const answer = given[row] as Answer;
      atImage[image] = answer;
      if (answer.margin > 0) return;
      const counterexample = x.slice(row * features, (row + 1) * features);
      decide({
        image,
        label: labelOf(image),
        verdict: 'falsified',
        stage: 'natural',
        margin: answer.margin,
        counterexample,
      });
    });
  });

  const boundBy = (name: BoundStage) =>
    stage(name, async (images, batch) => {
      const found = await lowerBounds(evaluation, name, images, batch);
      images.forEach((image, row) => {
        const { margins: own, smallest: bound } = found[row] as MarginBounds;
        const { margin, scale } = atImage[image] as Answer;
        if (options.complete) {
          const known = margins.get(image);
          margins.set(
            image,
            known === undefined ? own : own.map((value, j) => Math.max(value, known[j] as number)),
          );
        }
        bounds[image] = Math.max(bounds[image] as number, Math.min(bound, margin));
        if (isProof(bound, margin, scale))
          decide({ image, label: labelOf(image), verdict: 'certified', stage: name, margin: bound });
      });
    });
  for (const name of boundStages) await boundBy(name);

  const { steps = 40, restarts = 3 } = options.attack ?? {};
  const key = keyOf(options.seed ?? 0);
  const attack = async (images: readonly number[], batch: number, restart: number): Promise<void> => {
    for (const { image, example, margin } of await attackOnce(evaluation, images, batch, {
      steps,
      restart,
      key,
    }))
      decide({
        image,
        label: labelOf(image),
        verdict: 'falsified',
        stage: 'attack',
        margin,
        counterexample: example,
      });
  };
  await stage('attack', attack, restarts);

  const search = async ({ store, ...limits }: CompleteOptions): Promise<void> => {
    const images = open();
    const before = { ...decided };
    const started = performance.now();
    const judge = createCompleteStage(evaluation, limits);
    let undecided = 0;
    for (const [done, image] of images.entries()) {
      const report = (done: number, current?: ImageProgress) =>
        options.progress?.({
          stage: 'branch-and-bound',
          done,
          total: images.length,
          ...decided,
          search: { undecided, images: count, current },
        });
      const known = store?.known.get(image);
      const verdict = known ?? (await judge(image, margins.get(image), (current) => report(done, current)));
      if (known === undefined) store?.append(verdict);
      if (verdict.verdict !== 'undecided') decide(verdict);
      else {
        undecided++;
        bounds[image] = Math.max(bounds[image] as number, verdict.margin);
      }
      report(done + 1);
    }
    stages['branch-and-bound'] = reportOf(images.length, before, started);
  };
  if (options.complete) await search(options.complete);

  const judged = Array.from(
    verdicts,
    (verdict, image): Verdict =>
      verdict ?? {
        image,
        label: labelOf(image),
        verdict: 'undecided',
        stage: null,
        margin: bounds[image] as number,
      },
  );
  const present = stageNames.filter((name) => stages[name] !== undefined);
  return {
    verdicts: judged,
    stages: Object.fromEntries(present.map((name) => [name, stages[name]])) as CertificationReport['stages'],
  };
}

function checkOptions({
  network,
  parameters,
  split,
  epsilon,
  limit,
  attack = {},
  batchSizes = {},
  complete = {},
}: CertificationOptions): void {
  const refuse = (expected: string, got: unknown): never => {
    throw new RangeError(`certify: expected ${expected}, got ${got}`);
  };
  if (!(epsilon > 0 && epsilon <= 1)) refuse('ε in (0, 1], in pixels', epsilon);
  if (network.classes < 2) refuse('a network with at least 2 classes', network.classes);
  if (split.count < 1) refuse('at least one image', split.count);
  const features = split.images.length / split.count;
  if (features !== featuresOf(network.input))
    refuse(`images of ${network.input.join('×')} as the network reads them`, `${features} pixels`);
  const counts = { limit, 'attack steps': attack.steps, 'attack restarts': attack.restarts, ...batchSizes };
  for (const [name, value] of Object.entries(counts))
    if (value !== undefined && !(Number.isInteger(value) && value >= 1))
      refuse(`${name} to be an integer ≥ 1`, value);
  for (const [name, value] of Object.entries({
    'seconds per image': complete.secondsPerImage,
    'bytes of memory': complete.memoryBytes,
  }))
    if (value !== undefined && !(value > 0)) refuse(`${name} to be above 0`, value);
  if (limit !== undefined && limit > split.count)
    refuse(`at most ${split.count} images, all there are`, limit);
  const strange = split.labels
    .subarray(0, limit ?? split.count)
    .find((label: number) => label < 0 || label >= network.classes);
  if (strange !== undefined)
    refuse(`labels from 0 to ${network.classes - 1}, the network's classes`, strange);
  for (const [name, array] of Object.entries(parameters))
    if (!array.every(Number.isFinite)) refuse(`finite numbers in the parameter ${name}`, 'others');
}
