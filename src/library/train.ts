/** Training as one call: settings in, a run folder out. */
import { UsageError } from '../experiment/errors.js';
import { createRun, freeFolder, openRun as lockRun, type Run } from '../experiment/run/run-folder.js';
import { changedPreset, readPreset } from '../experiment/settings/presets.js';
import { changeSettings, resolveSettings } from '../experiment/settings/resolve-settings.js';
import type { GivenSettings } from '../experiment/settings/settings.js';
import { type TrainingWatch, trainRun } from '../experiment/train-run.js';
import { type OpenedRun, openRun } from './open-run.js';

/** What a training call takes beside settings. */
export interface CallOptions {
  /** Told of downloads, of the beginning and of each step. */
  readonly watch?: TrainingWatch;
  /** Aborts after a step, once a checkpoint is written: `resume` goes on from there. */
  readonly signal?: AbortSignal;
}

/** Every setting of `tautnet train` in camelCase, each with its default, and where to start from. */
export interface TrainOptions extends GivenSettings, CallOptions {
  /** Published settings to start from, `<data set and radius>/<architecture>/<method>`. */
  readonly preset?: string;
}

/** Settings that may differ when a run goes on: threads, device, memory, dataDir, microBatch, … */
export interface ResumeOptions extends GivenSettings, CallOptions {}

/**
 * Trains a network whose robustness can be proved, and writes a run folder (`out`).
 *
 * Minimises (1 − κ)·natural + κ·robust loss of `method` under `relaxation`, by the gradient that `smoothing`
 * estimates. The same settings and seed give the same bits on the CPU.
 *
 * @param options settings, which override those of `preset`; ε in pixel units of [0, 1]; without `out` the
 *  folder is named after the settings, and counts up where it is taken
 * @returns the finished run
 * @throws UsageError for settings that cannot be; Failure if training diverges; the reason of `signal`
 * @example
 * ```js
 * import { train } from 'tautnet';
 *
 * const run = await train({
 *   preset: 'mnist-0.1/cnn3/ibp',
 *   smoothing: 'rgs',
 *   epochs: 1, // the published recipe has 70, on all images
 *   trainLimit: 512,
 *   validation: 128,
 *   out: 'runs/mine',
 * });
 * console.log(run.metrics.at(-1).validationCertifiedAccuracy);
 * ```
 */
export async function train(options: TrainOptions): Promise<OpenedRun> {
  const { preset, watch, signal, ...own } = options;
  const given = preset === undefined ? own : changedPreset(await readPreset(preset), own);
  const resolved = resolveSettings(given);
  const settings = given.out === undefined ? { ...resolved, out: freeFolder(resolved.out) } : resolved;
  return finished(await createRun(settings.out, settings), { watch, signal });
}

/**
 * Goes on with a run that was stopped, to the bits that it would have had.
 *
 * @param path the folder of the run
 * @param options settings that change where and how fast it computes, not what
 * @returns the finished run
 * @throws UsageError if there is no run, or a setting would change its results; Failure as `train`
 * @example
 * ```js
 * import { resume, train } from 'tautnet';
 *
 * const stop = new AbortController();
 * const watch = { step: () => stop.abort(new Error('enough for today')) };
 * const settings = { architecture: 'fc-small', trainLimit: 64, validation: 16, batchSize: 32, epochs: 2 };
 * await train({ ...settings, out: 'runs/stopped', watch, signal: stop.signal }).catch(console.log);
 * const run = await resume('runs/stopped', { threads: 1 });
 * console.log(run.metrics.length); // 2 epochs
 * ```
 */
export async function resume(path: string, options: ResumeOptions = {}): Promise<OpenedRun> {
  const { watch, signal, ...changes } = options;
  const run = await lockRun(path);
  try {
    if (run.finished)
      throw new UsageError(
        `resume: expected an unfinished run, ${path} is finished; read it with openRun('${path}')`,
      );
    return await finished({ ...run, settings: changeSettings(run.settings, changes) }, { watch, signal });
  } finally {
    await run.release();
  }
}

async function finished(run: Run, { watch, signal }: CallOptions): Promise<OpenedRun> {
  try {
    await trainRun(run, watch, signal);
  } finally {
    await run.release();
  }
  return openRun(run.path);
}
