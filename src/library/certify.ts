/** Certification as one call: a trained network in, three accuracies and a verdict on each image out. */
import { DataError } from '../data/data-error.js';
import type { Split } from '../data/dataset.js';
import { UsageError } from '../experiment/errors.js';
import { misfitOf } from '../experiment/misfit.js';
import { readDataset } from '../experiment/read-dataset.js';
import { type CertificationRecord, keepCertification } from '../experiment/run/certification-record.js';
import { checkSetting } from '../experiment/settings/resolve-settings.js';
import { asFile, type TrainedNetwork } from '../experiment/trained-network.js';
import { featuresOf } from '../network/layers/layer.js';
import { certify as certifySplit } from '../verification/certification/cascade.js';
import { certificateFiles, writeCertificate } from '../verification/certification/certificate.js';
import type { CertificationOptions } from '../verification/certification/options.js';
import type { CertificationReport } from '../verification/certification/verdict.js';
import type { Model } from './read-network.js';

/** What may be said of a certification; all of it has a default. */
export interface CertifyOptions
  extends Omit<CertificationOptions, 'network' | 'parameters' | 'exact' | 'double' | 'split' | 'epsilon'> {
  /** Images: a split of bytes, or a data set's name for its test images (default: the run's). */
  readonly images?: Split | string;
  /** Radius of the ball ‖x' − x‖∞ ≤ ε in pixels, in (0, 1] (default: that of the run). */
  readonly epsilon?: number;
  /** Folder with the data set's files (default: that of the run). */
  readonly dataDir?: string;
  /** Write `certificate.jsonl` and the counterexamples into the run's folder (default: not). */
  readonly save?: boolean;
}

/**
 * Proves robustness image by image: IBP → CROWN-IBP → CROWN → PGD on what is left → with `complete`
 * branch and bound.
 *
 * An image is certified where min over the ball and over j ≠ y of f_y(x') − f_j(x') > 0 is proved.
 *
 * @param model a run of `openRun`, a network of `readNetwork`, or any network with its parameters
 * @returns natural ≥ adversarial ≥ certified accuracy in [0, 1], stages, and one verdict for each image
 * @throws UsageError for a missing data set or ε; DataError where its images do not fit the network
 * @example
 * ```js
 * import { certify, train } from 'tautnet';
 *
 * const settings = { architecture: 'fc-small', trainLimit: 64, validation: 16, batchSize: 32, epochs: 1 };
 * const run = await train({ ...settings, out: 'runs/proved' });
 * const { natural, certified, adversarial, verdicts } = await certify(run, { limit: 10, epsilon: 2 / 255 });
 * console.log(natural, certified, adversarial, verdicts[0].verdict);
 * ```
 */
export async function certify(
  model: Model | TrainedNetwork,
  options: CertifyOptions = {},
): Promise<CertificationReport> {
  const { images, epsilon: radius, dataDir, save, ...rest } = options;
  const read: Model & Partial<TrainedNetwork> = options.sound ? await asFile(model) : model;
  const { network, parameters, exact, double, trainedFor: known = {} } = read;
  const [dataset, given] = [images ?? known.dataset, radius ?? known.epsilon];
  if (dataset === undefined)
    throw new UsageError('certify: expected images, got none, and the model does not say; give `images`');
  if (given === undefined)
    throw new UsageError('certify: expected a radius, got none, and the model does not say; give `epsilon`');
  const epsilon = checkSetting('epsilon', given, 'certify: epsilon');
  const found =
    typeof dataset === 'string'
      ? await readDataset(dataset, { dataDir: dataDir ?? known.dataDir, pool: known.pool })
      : undefined;
  const misfit = found && misfitOf(network, found);
  if (misfit !== undefined) throw new DataError(`certify: ${misfit}; choose other images`);
  const split = found?.test ?? (dataset as Split);
  const clipBox = rest.clipBox ?? known.clipBox ?? true;
  const report = await certifySplit({ ...rest, network, parameters, exact, double, split, epsilon, clipBox });
  if (save && 'certificate' in model)
    await writeCertificate(certificateFiles(model.certificate), report, featuresOf(network.input), {
      network: network.name,
      'clip-box': String(clipBox),
      ...(found && { dataset: found.name }),
    });
  if (save && 'path' in model) await keepCertification(model.path as string, withoutVerdicts(report));
  return report;
}

const withoutVerdicts = ({ verdicts: _, ...record }: CertificationReport): CertificationRecord => record;
