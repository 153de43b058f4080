/** What the list shows of one run, read from its folder. */
import { join } from 'node:path';
import { readCertificationRecord } from '../../experiment/run/certification-record.js';
import { type MetricsRecord, readMetrics } from '../../experiment/run/metrics.js';
import { readRun } from '../../experiment/run/run-folder.js';
import { readCertificateLines } from '../../verification/certification/certificate-lines.js';
import { accuraciesOf } from '../../verification/certification/verdict.js';
import { settingTexts } from '../runs/comparison.js';
import type { CardAccuracies, RunCard } from './answers.js';

/** Points of a spark line. */
const POINTS = 40;

export interface Entry extends Omit<RunCard, 'settings'> {
  /** Settings by their names in files; missing where the run cannot be read. */
  readonly texts?: Readonly<Record<string, string>>;
}

const NONE: CardAccuracies = { natural: null, certified: null, adversarial: null };

interface Found {
  readonly name: string;
  readonly running: boolean;
  readonly changed: number;
}

/** A run of which nothing but its name is known yet. */
export const unread = ({ name, changed }: Omit<Found, 'running'>): Entry => ({
  ...{ name, changed, state: 'reading', accuracies: NONE, images: 0, epoch: 0, epochs: 0, losses: [] },
});

/** The last of what training has measured, on validation images where there are some. */
export function trainingAccuracies(metrics: readonly MetricsRecord[]): CardAccuracies {
  const last = metrics.at(-1) ?? {};
  const number = (name: string): number | null => {
    const record = last as MetricsRecord;
    const [held, own] = [record[`validation${name}`], record[name.charAt(0).toLowerCase() + name.slice(1)]];
    return typeof held === 'number' ? held : typeof own === 'number' ? own : null;
  };
  return {
    natural: number('NaturalAccuracy'),
    certified: number('CertifiedAccuracy'),
    adversarial: number('AdversarialAccuracy'),
  };
}

/** Values at `POINTS` places at most, the last among them. */
function thinned(values: readonly number[]): number[] {
  if (values.length <= POINTS) return [...values];
  return Array.from(
    { length: POINTS },
    (_, i) => values[Math.round((i * (values.length - 1)) / (POINTS - 1))] as number,
  );
}

/** Accuracies of the last certification and how many images it took; undefined before the first. */
async function certifiedAccuracies(path: string) {
  const record = await readCertificationRecord(path);
  if (record) return { accuracies: record as CardAccuracies, images: record.images };
  const lines = await readCertificateLines(join(path, 'certificate.jsonl'));
  return lines && lines.length > 0 ? { accuracies: accuraciesOf(lines), images: lines.length } : undefined;
}

/** Reads a run; one that cannot be read says why in one line. */
export async function readEntry(path: string, found: Found): Promise<Entry> {
  const entry = unread(found);
  try {
    const run = await readRun(path);
    const metrics = await readMetrics(run.paths.metrics);
    const certified = await certifiedAccuracies(path);
    const { natural, certified: proved, adversarial } = certified?.accuracies ?? trainingAccuracies(metrics);
    const losses = metrics.flatMap(({ loss }) => (typeof loss === 'number' ? [loss] : []));
    return {
      ...entry,
      texts: settingTexts(run),
      state: run.finished ? 'finished' : found.running ? 'running' : 'unfinished',
      accuracies: { natural, certified: proved, adversarial },
      images: certified?.images ?? 0,
      epoch: metrics.at(-1)?.epoch ?? 0,
      epochs: run.settings.epochs,
      losses: thinned(losses),
    };
  } catch (error) {
    return { ...entry, state: 'broken', problem: oneLine(error) };
  }
}

/** The first line of what went wrong. */
export const oneLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] as string;
