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
import { createPool } from '../../runtime/pool/pool.js';
import { boundStages } from '../proof/batch-size.js';
import { createContext } from '../proof/context.js';
import { climb, type Rung } from '../proof/ladder.js';
import { attackStage } from './attack-stage.js';
import { boundStage } from './bound-stage.js';
import { Certification, type Decided, type ImageStage } from './certification.js';
import { completeStage } from './complete-stage.js';
import { createEvaluation } from './evaluation.js';
import { naturalStage } from './natural-stage.js';
import { type CertificationOptions, checkOptions } from './options.js';
import { accuraciesOf, type CertificationReport, type StageName, type StageReport } from './verdict.js';

/** The stages of a certification, in order. */
function stagesOf({ relaxation, complete }: CertificationOptions): readonly ImageStage[] {
  const bounds = relaxation === undefined ? boundStages : [relaxation];
  const stages = [naturalStage, ...bounds.map(boundStage), attackStage];
  return complete ? [...stages, completeStage] : stages;
}

/**
 * Certifies images of a split.
 * @throws RangeError for options that make no sense; the reason of `signal` when it is aborted
 */
export async function certify(options: CertificationOptions): Promise<CertificationReport> {
  checkOptions(options);
  const { network, parameters, exact, double, sound, split, epsilon, seed, signal } = options;
  const { clipBox: clip = true } = options;
  const started = performance.now();
  const pool = options.pool ?? createPool(options.threads, options.device, options.deviceMegabytes);
  try {
    const context = createContext({ network, parameters, exact, pool, seed, signal });
    const evaluation = createEvaluation(context, split, { epsilon, clip }, { double, sound });
    const onDevice = pool.device === 'cpu' ? undefined : await pool.memory();
    const certification = new Certification(evaluation, options, onDevice);
    const climbed = await climb({
      stages: stagesOf(options),
      context: certification,
      items: certification.images,
      decided: (image, verdict) => certification.decided(image, verdict),
    });
    const verdicts = certification.images.map(
      (image, i) => climbed.verdicts[i] ?? certification.undecided(image),
    );
    return {
      ...accuraciesOf(verdicts),
      images: verdicts.length,
      epsilon,
      ...(sound && { sound }),
      stages: Object.fromEntries(
        climbed.rungs.map((rung) => [rung.name, reportOf(rung)]),
      ) as CertificationReport['stages'],
      seconds: (performance.now() - started) / 1000,
      verdicts,
    };
  } finally {
    if (options.pool === undefined) await pool.close();
  }
}

function reportOf({ items, verdicts, seconds, skipped }: Rung<Decided, StageName>): StageReport {
  const count = (kind: Decided['verdict']) => verdicts.filter(({ verdict }) => verdict === kind).length;
  return {
    images: items,
    certified: count('certified'),
    falsified: count('falsified'),
    seconds,
    ...(skipped !== undefined && { skipped }),
  };
}
