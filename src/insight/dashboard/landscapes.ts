/**
 * Landscapes of runs, computed once and kept: whoever asks again for the same one, also of another server,
 * has it at once. One is computed at a time; it is given up when nobody waits for it any more.
 *
 * They lie in the user's cache, as nothing is written into the folder of runs, under a name that says all
 * that they depend on.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from '../../data/fetch/cache.js';
import { UsageError } from '../../experiment/errors.js';
import { misfitOf } from '../../experiment/misfit.js';
import { type RunRecord, readRun } from '../../experiment/run/run-folder.js';
import { VERSION } from '../../experiment/version.js';
import { writeFileAtomic } from '../../formats/atomic-file.js';
import { makeFolder } from '../../formats/folder.js';
import { type BatchStage, whySkipped } from '../../verification/proof/batch-size.js';
import { type Landscape, landscape } from '../landscape/landscape.js';
import { firstTrainingImages, initialSubject, trainedSubject } from '../landscape/run-subjects.js';
import type { OpenDatasets } from './open-datasets.js';

export interface LandscapeChoice {
  readonly direction: 'random' | 'gradient';
  readonly relaxations: readonly string[];
}

export type Progress = (done: number, total: number) => void;

/** What all landscapes have in common: shapes are seen, and CNN3 under CROWN takes 20 seconds. */
const SCAN = { span: 0.01, points: 25, samples: 6, seed: 0, sigmas: [0, 0.0005, 0.001, 0.002, 0.005] };
const IMAGES = 2;
/** Landscapes that are kept. */
const MOST = 100;

interface Job {
  readonly found: Promise<Landscape>;
  readonly listeners: Set<Progress>;
  readonly giveUp: AbortController;
  last?: readonly [done: number, total: number];
}

export interface LandscapesOptions {
  readonly datasets: OpenDatasets;
  /** Folder of the cache (default: the user's). */
  readonly cache?: string;
  /** What is computed, where it should differ. */
  readonly scan?: Partial<typeof SCAN>;
}

export class Landscapes {
  readonly #datasets: OpenDatasets;
  readonly #folder: string;
  readonly #scan: typeof SCAN;
  readonly #jobs = new Map<string, Job>();
  #before: Promise<unknown> = Promise.resolve();

  constructor({ datasets, cache = cacheDirectory(), scan }: LandscapesOptions) {
    this.#datasets = datasets;
    this.#scan = { ...SCAN, ...scan };
    this.#folder = join(cache, 'landscapes');
  }

  /**
   * The landscape of a finished run, at initialisation and after training.
   * @throws UsageError, Failure, DataError: one line for what cannot be; the reason of `signal`
   */
  async of(path: string, choice: LandscapeChoice, told: Progress, signal: AbortSignal): Promise<Landscape> {
    const run = await readRun(path);
    const file = await this.#fileOf(run, choice);
    const known = await recalled(file);
    signal.throwIfAborted();
    if (known) return known;
    const job = this.#jobs.get(file) ?? this.#begin(file, run, choice);
    job.listeners.add(told);
    if (job.last) told(...job.last);
    const left = new Promise<never>((_, failed) => {
      signal.addEventListener('abort', () => {
        job.listeners.delete(told);
        if (job.listeners.size === 0) this.#giveUp(file, job, signal.reason);
        failed(signal.reason);
      });
    });
    return Promise.race([job.found, left]);
  }

  #begin(file: string, run: RunRecord, choice: LandscapeChoice): Job {
    const giveUp = new AbortController();
    const listeners = new Set<Progress>();
    const tell: Progress = (done, total) => {
      job.last = [done, total];
      for (const listener of listeners) listener(done, total);
    };
    const found = this.#before.then(async () => {
      giveUp.signal.throwIfAborted();
      const seen = await this.#compute(run, choice, tell, giveUp.signal);
      await keep(this.#folder, file, seen);
      return seen;
    });
    const job: Job = { found, listeners, giveUp };
    this.#before = found.catch(() => undefined);
    this.#jobs.set(file, job);
    void this.#before.then(() => this.#jobs.get(file) === job && this.#jobs.delete(file));
    return job;
  }

  #giveUp(file: string, job: Job, reason: unknown): void {
    if (this.#jobs.get(file) === job) this.#jobs.delete(file);
    job.giveUp.abort(reason);
  }

  async #compute(
    { path, settings }: RunRecord,
    { direction, relaxations }: LandscapeChoice,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<Landscape> {
    const trained = await trainedSubject(path);
    const first = initialSubject(settings);
    for (const name of relaxations) {
      const skipped = whySkipped(trained.network, name as BatchStage);
      if (skipped !== undefined) throw new UsageError(`${name}: ${skipped}; choose other relaxations`);
    }
    const dataset = await this.#datasets.of(settings);
    const misfit = misfitOf(trained.network, dataset);
    if (misfit !== undefined) throw new UsageError(`${path}: ${misfit}`);
    const { epsilon, clipBox } = settings;
    progress(0, this.#scan.sigmas.length * relaxations.length * (first ? 2 : 1));
    return landscape({
      ...this.#scan,
      subjects: [...(first ? [first] : []), trained],
      batch: firstTrainingImages(dataset, IMAGES),
      ...{ epsilon, clipBox, direction, relaxations, progress, signal },
    });
  }

  /** A name of all that the numbers depend on. */
  async #fileOf({ paths }: RunRecord, choice: LandscapeChoice): Promise<string> {
    const hash = createHash('sha256').update(JSON.stringify([VERSION, this.#scan, IMAGES, choice]));
    for (const path of [paths.config, paths.parameters])
      hash.update(await readFile(path).catch(() => Buffer.of()));
    return join(this.#folder, `${hash.digest('hex')}.json`);
  }

  async close(): Promise<void> {
    for (const [file, job] of this.#jobs) this.#giveUp(file, job, new Error('the server is closed'));
    await this.#before;
  }
}

/** What was kept; nothing where it is missing or damaged. */
const recalled = (file: string): Promise<Landscape | undefined> =>
  readFile(file, 'utf8')
    .then(
      (text) => JSON.parse(text) as Landscape,
      () => undefined,
    )
    .catch(() => undefined);

/** Keeps a landscape and lets go of the oldest ones. A cache that cannot be written costs time alone. */
async function keep(folder: string, file: string, found: Landscape): Promise<void> {
  try {
    await makeFolder(folder);
    await writeFileAtomic(file, JSON.stringify(found));
    const files = (await readdir(folder)).filter((name) => name.endsWith('.json'));
    if (files.length <= MOST) return;
    const dated = files.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs }));
    const oldest = (await Promise.all(dated)).sort((a, b) => a.at - b.at).slice(0, -MOST);
    await Promise.all(oldest.map(({ name }) => rm(join(folder, name), { force: true })));
  } catch {
    return;
  }
}
