/**
 * The certification cascade: proofs and counterexamples for the images of a split, cheapest first; an image leaves when it is decided.
 *
 *   natural error → IBP → CROWN-IBP → CROWN → PGD on what no bound certifies
 *
 * A certified image needs no attack, so adversarial accuracy counts it as robust. Batches of a stage run in parallel on a pool of
 * one-thread workers; verdicts depend neither on the number of threads nor, but for the last bits of bounds, on batch sizes.
 */
import type { Split } from '../data/dataset.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import type { ParameterArrays } from '../network/parameters.js';
import type { Device } from '../runtime/device.js';
import { createPool, type Pool } from '../runtime/pool.js';
import { keyOf } from '../runtime/random.js';
import { attackOnce } from './attack-stage.js';
import { batchFor, largestBatch, whySkipped } from './batch-size.js';
import { lowerBounds } from './bound-stage.js';
import { createEvaluation, type Evaluation, paddedBatch } from './evaluation.js';
import { type Answer, answers } from './forward-stage.js';
import { isProof } from './rounding.js';
import { accuraciesOf, type BoundStage, boundStages, type CertificationReport, type StageName, type StageReport, stageNames, type Verdict } from './verdict.js';

/** How far a certification is; called after each batch. */
export interface CertificationProgress {
  readonly stage: StageName;
  /** Images of this stage done, and in all; an attack passes the images that are left once for each restart. */
  readonly done: number;
  readonly total: number;
  /** Images decided so far, in all stages. */
  readonly certified: number;
  readonly falsified: number;
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
  /** Workers to use instead of own ones; left open. */
  readonly pool?: Pool;
  /** Largest batches, where they should differ from what suits the network. */
  readonly batchSizes?: Readonly<Partial<Record<StageName, number>>>;
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
  const pool = options.pool ?? createPool(options.threads, options.device);
  try {
    const evaluation = createEvaluation(network, parameters, split, { epsilon, clip }, pool, signal);
    const { verdicts, stages } = await cascade(evaluation, options);
    return { ...accuraciesOf(verdicts), images: verdicts.length, epsilon, stages, seconds: secondsSince(started), verdicts };
  } finally {
    if (options.pool === undefined) await pool.close();
  }
}

const secondsSince = (start: number): number => (performance.now() - start) / 1000;

/** The stages one after another. */
async function cascade(evaluation: Evaluation, options: CertificationOptions): Promise<Pick<CertificationReport, 'verdicts' | 'stages'>> {
  const { split, network, each } = evaluation;
  const count = options.limit ?? split.count;
  const verdicts = new Array<Verdict | undefined>(count);
  const bounds = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  const atImage = new Array<Answer>(count);
  const stages: Partial<Record<StageName, StageReport>> = {};
  const decided = { certified: 0, falsified: 0 };
  const labelOf = (image: number): number => split.labels[image] as number;
  const decide = (verdict: Exclude<Verdict, { verdict: 'undecided' }>): void => {
    verdicts[verdict.image] = verdict;
    decided[verdict.verdict]++;
  };
  const open = (): number[] => Array.from({ length: count }, (_, image) => image).filter((image) => verdicts[image] === undefined);

  /** Sends all open images through `work`, `passes` times. */
  const stage = async (name: StageName, work: (images: readonly number[], batch: number, pass: number) => Promise<void>, passes = 1): Promise<void> => {
    const entered = open().length;
    const before = { ...decided };
    const started = performance.now();
    const skipped = entered > 0 ? whySkipped(network, name) : undefined;
    let done = 0;
    for (let pass = 0; pass < passes && skipped === undefined; pass++) {
      const images = open();
      const batch = batchFor(options.batchSizes?.[name] ?? largestBatch(network, name), images.length);
      const total = done + images.length * (passes - pass);
      await each(images, batch, async (some) => {
        await work(some, batch, pass);
        done += some.length;
        options.progress?.({ stage: name, done, total, ...decided });
      });
    }
    const { certified, falsified } = decided;
    const found = { certified: certified - before.certified, falsified: falsified - before.falsified };
    stages[name] = { images: entered, ...found, seconds: secondsSince(started), ...(skipped !== undefined && { skipped }) };
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
      decide({ image, label: labelOf(image), verdict: 'falsified', stage: 'natural', margin: answer.margin, counterexample });
    });
  });

  const boundBy = (name: BoundStage) =>
    stage(name, async (images, batch) => {
      const found = await lowerBounds(evaluation, name, images, batch);
      images.forEach((image, row) => {
        const bound = found[row] as number;
        const { margin, scale } = atImage[image] as Answer;
        bounds[image] = Math.max(bounds[image] as number, Math.min(bound, margin));
        if (isProof(bound, margin, scale)) decide({ image, label: labelOf(image), verdict: 'certified', stage: name, margin: bound });
      });
    });
  for (const name of boundStages) await boundBy(name);

  const { steps = 40, restarts = 3 } = options.attack ?? {};
  const key = keyOf(options.seed ?? 0);
  const attack = async (images: readonly number[], batch: number, restart: number): Promise<void> => {
    for (const { image, example, margin } of await attackOnce(evaluation, images, batch, { steps, restart, key }))
      decide({ image, label: labelOf(image), verdict: 'falsified', stage: 'attack', margin, counterexample: example });
  };
  await stage('attack', attack, restarts);

  const judged = Array.from(
    verdicts,
    (verdict, image): Verdict => verdict ?? { image, label: labelOf(image), verdict: 'undecided', stage: null, margin: bounds[image] as number },
  );
  return { verdicts: judged, stages: Object.fromEntries(stageNames.map((name) => [name, stages[name]])) as CertificationReport['stages'] };
}

function checkOptions({ network, parameters, split, epsilon, limit, attack = {}, batchSizes = {} }: CertificationOptions): void {
  const refuse = (expected: string, got: unknown): never => {
    throw new RangeError(`certify: expected ${expected}, got ${got}`);
  };
  if (!(epsilon > 0 && epsilon <= 1)) refuse('ε in (0, 1], in pixels', epsilon);
  if (network.classes < 2) refuse('a network with at least 2 classes', network.classes);
  if (split.count < 1) refuse('at least one image', split.count);
  const features = split.images.length / split.count;
  if (features !== featuresOf(network.input)) refuse(`images of ${network.input.join('×')} as the network reads them`, `${features} pixels`);
  const counts = { limit, 'attack steps': attack.steps, 'attack restarts': attack.restarts, ...batchSizes };
  for (const [name, value] of Object.entries(counts))
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) refuse(`${name} to be an integer ≥ 1`, value);
  if (limit !== undefined && limit > split.count) refuse(`at most ${split.count} images, all there are`, limit);
  const strange = split.labels.subarray(0, limit ?? split.count).find((label: number) => label < 0 || label >= network.classes);
  if (strange !== undefined) refuse(`labels from 0 to ${network.classes - 1}, the network's classes`, strange);
  for (const [name, array] of Object.entries(parameters)) if (!array.every(Number.isFinite)) refuse(`finite numbers in the parameter ${name}`, 'others');
}
