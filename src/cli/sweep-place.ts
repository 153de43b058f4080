/** Where the trials of sweeps are done: in child processes here, or by the workers of a queue. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Address } from '../cluster/broker/address.js';
import { runLocally, type Sharing } from '../cluster/run-locally.js';
import { runRemotely } from '../cluster/run-remotely.js';
import { type SlurmOptions, slurmOptions, submitWorkers } from '../cluster/slurm.js';
import type { SweepRunner } from '../cluster/sweep.js';
import { UsageError } from '../experiment/errors.js';
import { kebab } from '../experiment/settings/setting-text.js';
import type { Io } from './command.js';
import { setting, wholeNumber } from './flag-values.js';
import { addressOf, QUEUE_VARIABLE, type QueueFlag, queueOption } from './queue-option.js';
import { shared } from './shared-options.js';

export interface PlaceFlags {
  readonly threads?: string;
  readonly parallel?: string;
  readonly queue?: QueueFlag;
  readonly shipRuns?: boolean;
  readonly slurm?: string;
  readonly slurmOptions?: string;
}

/** Adds the options that say where. @param all what the threads are shared by */
export const withPlaceOptions = (command: Command, all: string): Command =>
  command
    .addOption(shared('threads', `of all ${all} together; default: available cores`))
    .option('--parallel <count>', `${all} at a time (default: one for each thread)`)
    .addOption(queueOption(`${all} are done by the workers of a queue`))
    .option('--ship-runs', 'with --queue: runs travel, as workers share no folder with this machine')
    .option('--slurm <workers>', 'with --queue: submit so many workers to Slurm, as one array of jobs')
    .option('--slurm-options <text>', 'more options of sbatch, such as "--time=4:00:00 --partition=cpu"');

export interface Place {
  readonly sharing: Sharing;
  /** The queue whose workers do the trials; without it this machine does. */
  readonly address?: Address;
  readonly ships: boolean;
  /** Workers that Slurm is to start. */
  readonly slurm?: SlurmOptions;
}

/** @throws UsageError for a flag that cannot be */
export function placeOf(flags: PlaceFlags, io: Pick<Io, 'environment'>): Place {
  const sharing = {
    threads: setting('threads', flags.threads, '--threads') ?? availableParallelism(),
    parallel: wholeNumber('parallel', flags.parallel),
  };
  const address = addressOf(flags.queue, io);
  for (const name of ['shipRuns', 'slurm', 'slurmOptions'] as const)
    if (address === undefined && flags[name] !== undefined)
      throw new UsageError(`--${kebab(name)}: expected --queue beside it, got none; leave it out`);
  return { sharing, address, ships: flags.shipRuns ?? false, slurm: slurmOf(flags) };
}

/** @throws UsageError for a flag that cannot be */
function slurmOf({ slurm, slurmOptions: more, threads }: PlaceFlags): SlurmOptions | undefined {
  const workers = wholeNumber('slurm', slurm);
  if (workers === undefined && more !== undefined)
    throw new UsageError('--slurm-options: expected --slurm beside it, got none; leave it out');
  if (workers === undefined) return undefined;
  return {
    workers,
    threads: setting('threads', threads, '--threads') ?? 1,
    more: slurmOptions(more ?? ''),
    program: [process.execPath, process.argv[1] as string],
    variable: QUEUE_VARIABLE,
  };
}

/**
 * Starts the workers that Slurm is to start; their script and logs go to `folder`.
 * @throws Failure if `sbatch` is missing or refuses; FileError
 */
export async function startWorkers(folder: string, { address, slurm }: Place, io: Io): Promise<void> {
  if (slurm === undefined || address === undefined) return;
  const job = await submitWorkers(folder, address, slurm);
  io.stderr.write(`${slurm.workers} workers: job ${job} of Slurm, see ${join(folder, 'slurm')}\n`);
}

/** What goes on with a sweep in that place. */
export const runnerAt =
  ({ sharing, address, ships }: Place): SweepRunner =>
  (path, options) =>
    address === undefined
      ? runLocally(path, sharing, options)
      : runRemotely(path, { ...options, address, parallel: sharing.parallel, ships });
