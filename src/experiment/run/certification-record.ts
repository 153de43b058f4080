/**
 * The last certification of a run in numbers, beside its verdicts: `certification.json`, and the page about
 * the run, `summary.md`, with the three accuracies.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../formats/atomic-file.js';
import { toFileError } from '../../formats/file-error.js';
import type { CertificationReport } from '../../verification/certification/verdict.js';
import { readMetrics } from './metrics.js';
import { readRun, runPaths } from './run-folder.js';
import { summarize } from './summary.js';

/** A certification without its verdicts. */
export type CertificationRecord = Omit<CertificationReport, 'verdicts'>;

/**
 * Keeps the numbers of a certification in the run's folder and writes its summary anew; does nothing where
 * there is no finished run.
 * @throws FileError
 */
export async function keepCertification(path: string, record: CertificationRecord): Promise<void> {
  const { config, summary, certification, metrics } = runPaths(path);
  if (!existsSync(config) || !existsSync(summary)) return;
  await writeFileAtomic(certification, `${JSON.stringify(record)}\n`);
  const text = summarize(await readRun(path), await readMetrics(metrics), record);
  await writeFileAtomic(summary, text);
}

/** The numbers of the last certification; undefined before the first, or where they cannot be read. */
export async function readCertificationRecord(path: string): Promise<CertificationRecord | undefined> {
  const { certification } = runPaths(path);
  try {
    const record: unknown = JSON.parse(await readFile(certification, 'utf8'));
    const { images } = (record ?? {}) as Partial<CertificationRecord>;
    return typeof images === 'number' ? (record as CertificationRecord) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toFileError(certification, 'read', error);
  }
}
