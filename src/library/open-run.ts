/** A finished run, read: what it was trained with, what came out, and what was proved of it. */
import { type MetricsRecord, readMetrics } from '../experiment/run/metrics.js';
import { readRun } from '../experiment/run/run-folder.js';
import type { Settings } from '../experiment/settings/settings.js';
import { type TrainedNetwork, trainedNetwork } from '../experiment/trained-network.js';
import {
  type CertificateLine,
  readCertificateLines,
} from '../verification/certification/certificate-lines.js';

/** A trained network, and the folder that says how it came about. */
export interface OpenedRun extends TrainedNetwork {
  readonly path: string;
  readonly settings: Settings;
  /** One record for each epoch. */
  readonly metrics: readonly MetricsRecord[];
  /** Verdicts of the last certification that was saved; none before the first. */
  readonly verdicts?: readonly CertificateLine[];
}

/**
 * Reads the folder of a finished run.
 *
 * @param path the folder, `out` of its settings
 * @returns its network with folded batch normalisation, parameters, settings, metrics and verdicts
 * @throws UsageError if there is no run; Failure if it is unfinished: `resume(path)` finishes it
 * @example
 * ```js
 * import { openRun, train } from 'tautnet';
 *
 * const settings = { architecture: 'fc-small', trainLimit: 64, validation: 16, batchSize: 32, epochs: 1 };
 * await train({ ...settings, out: 'runs/small' });
 * const { network, parameters, metrics } = await openRun('runs/small');
 * console.log(network.name, Object.keys(parameters).length, metrics.at(-1).loss);
 * ```
 */
export async function openRun(path: string): Promise<OpenedRun> {
  const { settings, paths } = await readRun(path);
  const trained = await trainedNetwork(path);
  const metrics = await readMetrics(paths.metrics);
  const verdicts = await readCertificateLines(trained.certificate);
  return { ...trained, path, settings, metrics, ...(verdicts && { verdicts }) };
}
