/** What a run is and what came of it, read from its folder; nothing is computed. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { UsageError } from '../../experiment/errors.js';
import {
  type CertificationRecord,
  readCertificationRecord,
} from '../../experiment/run/certification-record.js';
import { type MetricsRecord, readMetrics } from '../../experiment/run/metrics.js';
import { type RunRecord, readRun, runPaths } from '../../experiment/run/run-folder.js';
import {
  type CertificateLine,
  readCertificateLines,
} from '../../verification/certification/certificate-lines.js';
import { type Accuracies, accuraciesOf } from '../../verification/certification/verdict.js';

export interface RunResults extends RunRecord {
  /** Last part of its path. */
  readonly name: string;
  /** One record for each epoch. */
  readonly metrics: readonly MetricsRecord[];
  /** Of the last certification; none before the first. */
  readonly verdicts?: readonly CertificateLine[];
  /** The accuracies that the verdicts amount to. */
  readonly accuracies?: Accuracies;
  /** Times of the last certification and its stages. */
  readonly certification?: CertificationRecord;
  /** Wall clock of training, as far as its metrics go. */
  readonly trainingSeconds?: number;
}

/** @throws UsageError, Failure, FileError, FormatError: one line for what cannot be read */
export async function readResults(path: string): Promise<RunResults> {
  const run = await readRun(path);
  const metrics = await readMetrics(run.paths.metrics);
  const verdicts = await readCertificateLines(join(path, 'certificate.jsonl'));
  const seconds = metrics.at(-1)?.seconds;
  return {
    ...run,
    name: basename(resolve(path)),
    metrics,
    ...(verdicts && verdicts.length > 0 && { verdicts, accuracies: accuraciesOf(verdicts) }),
    certification: await readCertificationRecord(path),
    ...(typeof seconds === 'number' && { trainingSeconds: seconds }),
  };
}

const isRun = (path: string): boolean => existsSync(runPaths(path).config);

/**
 * Folders of runs: each path that is one, and the runs in each that holds some.
 * @throws UsageError for a path without a run
 */
export async function runsIn(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      if (isRun(path)) return [path];
      const names = await readdir(path).catch(() => []);
      const runs = names.map((name) => join(path, name)).filter(isRun);
      if (runs.length > 0) return runs.sort();
      const got = existsSync(path) ? 'it has no run' : 'there is nothing';
      throw new UsageError(`${path}: expected the folder of a run, or one with runs, ${got}; check the path`);
    }),
  );
  return [...new Set(found.flat())];
}
