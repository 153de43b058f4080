/** A sweep whose trials are done by workers of a queue, on as many machines as there are. */

import type { Address } from './broker/address.js';
import { openEngine } from './broker/engine.js';
import { WORK } from './broker/job.js';
import { RemoteQueue } from './broker/remote-queue.js';
import { trialCarrier } from './broker/trial-job.js';
import { type RunnerOptions, runSweep } from './sweep.js';
import type { SweepState } from './sweep-state.js';
import type { TrialJob, TrialProgress, TrialResult } from './trial.js';

export interface RemoteSweepOptions extends RunnerOptions {
  readonly address: Address;
  /** Trials in the queue at a time. */
  readonly parallel?: number;
  /** Runs travel, as workers share no folder with this machine. */
  readonly ships: boolean;
}

/** Trials in the queue at a time unless said otherwise. */
const PARALLEL = 256;

/** Goes on with the sweep in a folder by the workers of a queue. @throws as runSweep; Failure */
export async function runRemotely(
  path: string,
  { address, parallel = PARALLEL, retried, ships, ...options }: RemoteSweepOptions,
): Promise<SweepState> {
  const { onWait } = options;
  const engine = await openEngine(address, { onTrouble: onWait });
  try {
    const carrier = await trialCarrier(path, ships);
    if ((await engine.queue(WORK).getWorkersCount()) === 0)
      onWait?.(`${address.shown}: no worker is there yet; start some with \`tautnet worker --queue URL\``);
    return await runSweep(path, {
      ...options,
      threads: 1,
      queue: (progress) =>
        new RemoteQueue<TrialJob, TrialResult>({
          engine,
          carrier,
          capacity: parallel,
          // The queue remembers failures for a week.
          anew: new Set(retried),
          progress: (id, state) => progress(id, state as TrialProgress),
          onNotice: onWait,
        }),
    });
  } finally {
    await engine.close();
  }
}
