/** A sweep on this machine: several trials at a time in child processes, within a number of threads. */
import { compiledUrl } from '../runtime/compiled-file.js';
import { LocalQueue } from './local-queue.js';
import { type RunnerOptions, runSweep } from './sweep.js';
import type { SweepState } from './sweep-state.js';
import type { TrialJob, TrialProgress, TrialResult } from './trial.js';

/** How a machine is shared among trials. */
export interface Sharing {
  /** Worker threads of all trials together. */
  readonly threads: number;
  /** Trials at a time (default: one for each thread, which wastes nothing). */
  readonly parallel?: number;
}

/** Trials at a time, and threads of each. */
export function sharesOf({ threads, parallel = threads }: Sharing): { parallel: number; threads: number } {
  const trials = Math.max(1, Math.min(parallel, threads));
  return { parallel: trials, threads: Math.max(1, Math.floor(threads / trials)) };
}

/** Goes on with the sweep in a folder in child processes. @throws as runSweep */
export function runLocally(path: string, sharing: Sharing, options: RunnerOptions = {}): Promise<SweepState> {
  const { parallel, threads } = sharesOf(sharing);
  return runSweep(path, {
    ...options,
    threads,
    queue: (progress) =>
      new LocalQueue<TrialJob, TrialResult, TrialProgress>({
        program: compiledUrl('cluster/work-process.js'),
        capacity: parallel,
        progress,
      }),
  });
}
