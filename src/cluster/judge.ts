/**
 * What a network is worth: natural, certified and adversarial accuracy by the cascade of bounds, on held-out
 * training images or on the test set, and its loss under each of several relaxations.
 *
 * Certified means: by the best of IBP, CROWN-IBP and CROWN, and branch and bound where it is asked for,
 * whatever the network was trained with. So networks of different relaxations are compared by one measure.
 */
import { firstOf, LOSS_IMAGES, type Measured, relaxationLosses } from '../insight/runs/relaxation-losses.js';
import type { Pool } from '../runtime/pool/pool.js';
import { certify } from '../verification/certification/cascade.js';
import type { CertificationReport } from '../verification/certification/verdict.js';

/** How trials are judged. Plain data. */
export interface Judge {
  /** `validation`: training images held out; `test`: to be read once, after everything was chosen. */
  readonly on: 'validation' | 'test';
  /** The first images only (default: all). */
  readonly images?: number;
  /** Steps and random starts of the attack (default 10 and 1). */
  readonly attack?: { readonly steps: number; readonly restarts: number };
  /** Seconds of branch and bound for each image that bounds leave open (default: none). */
  readonly complete?: number;
  /** Relaxations under which the loss is measured (default: none). */
  readonly losses?: readonly string[];
  /** Images of that measurement (default 256). */
  readonly lossImages?: number;
}

/** Accuracies in [0, 1]; losses are means of the cross-entropy of worst-case logits under a relaxation. */
export interface Judgement {
  readonly images: number;
  readonly natural: number;
  readonly certified: number;
  readonly adversarial: number;
  readonly losses: Readonly<Record<string, number>>;
  /** Wall clock of judging. */
  readonly judgingSeconds: number;
}

/** Takes the report before it is summed up. */
type Keep = (report: CertificationReport) => Promise<void>;

/** @throws the reason of `signal` */
export async function judge(
  judged: Measured,
  { images, attack = { steps: 10, restarts: 1 }, complete, losses = [], lossImages = LOSS_IMAGES }: Judge,
  pool: Pool,
  { signal, keep }: { readonly signal?: AbortSignal; readonly keep?: Keep } = {},
): Promise<Judgement> {
  const started = performance.now();
  const { network, parameters, settings } = judged;
  const report = await certify({
    network,
    parameters,
    split: judged.split,
    epsilon: settings.epsilon,
    clipBox: settings.clipBox,
    limit: images === undefined || images > judged.split.count ? undefined : images,
    attack,
    pool,
    signal,
    ...(complete !== undefined && { complete: { secondsPerImage: complete } }),
  });
  await keep?.(report);
  const { natural, certified: proved, adversarial } = report;
  const first = { ...judged, split: firstOf(judged.split, lossImages) };
  return {
    images: report.images,
    natural,
    certified: proved,
    adversarial,
    losses: await relaxationLosses(first, losses, pool),
    judgingSeconds: (performance.now() - started) / 1000,
  };
}
