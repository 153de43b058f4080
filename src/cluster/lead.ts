/**
 * A training whose perturbations are evaluated by the workers of a queue, too; this process keeps the run.
 */
import { UsageError } from '../experiment/errors.js';
import type { Run } from '../experiment/run/run-folder.js';
import type { Settings } from '../experiment/settings/settings.js';
import { type TrainingWatch, trainRun } from '../experiment/train-run.js';
import type { Address } from './broker/address.js';
import { Leader } from './broker/leader.js';
import { withEngine } from './broker/reconnect.js';

/** @throws UsageError for a training that has nothing to spread */
export function checkSpreads({ smoothing, device }: Settings): void {
  if (smoothing === 'none')
    throw new UsageError(
      '--queue: expected smoothing pgpe or rgs, whose perturbations many evaluate, got none; leave it out',
    );
  if (device !== 'cpu')
    throw new UsageError(`--queue: expected --device cpu, got ${device}; leave one of them out`);
}

/**
 * Trains as `trainRun` does, to the same bits, by as many workers as there are at any time. @throws as
 * `trainRun`; Failure if the server cannot be reached
 */
export async function trainByWorkers(
  run: Run,
  address: Address,
  watch: TrainingWatch & { readonly notice?: (line: string) => void },
  signal?: AbortSignal,
): Promise<void> {
  checkSpreads(run.settings);
  const { out: _, ...settings } = run.settings;
  await withEngine(address, { onTrouble: watch.notice, signal }, async (engine) => {
    const leader = new Leader({ engine, settings, threads: settings.threads });
    await leader.start();
    try {
      await trainRun(run, watch, signal, leader);
    } finally {
      await leader.close();
    }
  });
}
