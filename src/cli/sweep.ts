/** `tautnet sweep`: many trainings, searched over settings; stopped at any moment it goes on. */

import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { Command } from 'commander';
import type { Address } from '../cluster/broker/address.js';
import { type SweepCost, sweepCost } from '../cluster/cost.js';
import { commandWords, plannedTrials } from '../cluster/definition.js';
import { runLocally, type Sharing, sharesOf } from '../cluster/run-locally.js';
import { runRemotely } from '../cluster/run-remotely.js';
import { type SlurmOptions, slurmOptions, submitWorkers } from '../cluster/slurm.js';
import { readSweepFile } from '../cluster/sweep-file.js';
import { createSweepFolder, forgetFailures, readSweepFolder } from '../cluster/sweep-folder.js';
import { failureOf, failuresOf, isOnFront, type SweepState } from '../cluster/sweep-state.js';
import { trialName } from '../cluster/sweep-table.js';
import { Failure, UsageError } from '../experiment/errors.js';
import { percent } from '../experiment/percent.js';
import { kebab } from '../experiment/settings/setting-text.js';
import { aligned } from './aligned.js';
import { type Io, type MakeCommand, written } from './command.js';
import { setting, wholeNumber } from './flag-values.js';
import { sweepProgress } from './progress/sweep.js';
import { duration } from './progress/training.js';
import { addressOf, QUEUE_VARIABLE, type QueueFlag, queueOption } from './queue-option.js';
import { shared } from './shared-options.js';

interface SweepFlags {
  readonly out?: string;
  readonly resume?: string;
  readonly threads?: string;
  readonly parallel?: string;
  readonly queue?: QueueFlag;
  readonly shipRuns?: boolean;
  readonly slurm?: string;
  readonly slurmOptions?: string;
  readonly retryFailed?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export const makeSweepCommand: MakeCommand = (io) =>
  new Command('sweep')
    .description('train many networks and search settings: grid, random or successive halving')
    .argument('[file]', 'YAML file that says what is searched')
    .addOption(shared('out', 'a folder to create; default: runs/sweeps/ and the name of the file'))
    .option('--resume <path>', 'go on with the sweep in this folder')
    .option('--retry-failed', 'with --resume: trials that failed are tried again')
    .addOption(shared('threads', 'of all trials together; default: available cores'))
    .option('--parallel <count>', 'trials at a time (default: one for each thread)')
    .addOption(queueOption('trials are done by the workers of a queue'))
    .option('--ship-runs', 'with --queue: runs travel, as workers share no folder with this machine')
    .option('--slurm <workers>', 'with --queue: submit so many workers to Slurm, as one array of jobs')
    .option('--slurm-options <text>', 'more options of sbatch, such as "--time=4:00:00 --partition=cpu"')
    .option('--dry-run', 'check every trial and say what all will cost, by one step of each kind')
    .action(async (file: string | undefined, flags: SweepFlags) => sweep(file, flags, io));

async function sweep(file: string | undefined, flags: SweepFlags, io: Io): Promise<void> {
  const sharing = sharingOf(flags);
  const address = addressOf(flags.queue, io);
  for (const name of ['shipRuns', 'slurm', 'slurmOptions'] as const)
    if (address === undefined && flags[name] !== undefined)
      throw new UsageError(`--${kebab(name)}: expected --queue beside it, got none; leave it out`);
  const slurm = slurmOf(flags);
  if (flags.retryFailed && flags.resume === undefined)
    throw new UsageError(
      '--retry-failed: expected --resume beside it, got none; name the folder of the sweep',
    );
  if ((file === undefined) === (flags.resume === undefined))
    throw new UsageError('sweep: expected a file or --resume, one of the two; see `tautnet sweep --help`');
  if (file === undefined) return goOn(flags.resume as string, { sharing, address, slurm }, flags, io);
  const definition = await readSweepFile(file);
  const planned = plannedTrials(definition);
  if (flags.dryRun) {
    const cost = await sweepCost(definition, { ...sharesOf(sharing), signal: io.signal });
    await written(io.stdout, flags.json ? `${JSON.stringify(cost)}\n` : costTable(cost, sharing));
    return;
  }
  const out = flags.out ?? join('runs', 'sweeps', basename(file).replace(/\.ya?ml$/, ''));
  await createSweepFolder(out, definition);
  io.stderr.write(`${planned.length} trials in ${out}\n`);
  await goOn(out, { sharing, address, slurm }, flags, io);
}

/** @throws UsageError for a flag that cannot be */
export const sharingOf = (flags: { threads?: string; parallel?: string }): Sharing => ({
  threads: setting('threads', flags.threads, '--threads') ?? availableParallelism(),
  parallel: wholeNumber('parallel', flags.parallel),
});

/** Where trials are done: by the workers of a queue, else here. */
interface Place {
  readonly sharing: Sharing;
  readonly address?: Address;
  /** Workers that Slurm is to start. */
  readonly slurm?: SlurmOptions;
}

/** @throws UsageError for a flag that cannot be */
function slurmOf({ slurm, slurmOptions: more, threads }: SweepFlags): SlurmOptions | undefined {
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

async function goOn(
  path: string,
  { sharing, address, slurm }: Place,
  flags: SweepFlags,
  io: Io,
): Promise<void> {
  const retried = flags.retryFailed ? await forgetFailures(path) : [];
  const { finished } = await readSweepFolder(path);
  if (finished)
    throw new UsageError(
      `--resume: expected an unfinished sweep, ${path} is finished; read ${path}/summary.md`,
    );
  const progress = sweepProgress(io.stderr);
  const options = {
    signal: io.signal,
    onWait: (line: string) => void io.stderr.write(`${line}\n`),
    update: (now: SweepState) => progress.update(now),
  };
  const { parallel } = sharing;
  if (slurm !== undefined && address !== undefined) {
    const job = await submitWorkers(path, address, slurm);
    io.stderr.write(`${slurm.workers} workers: job ${job} of Slurm, see ${join(path, 'slurm')}\n`);
  }
  const running =
    address === undefined
      ? runLocally(path, sharing, options)
      : runRemotely(path, { ...options, address, parallel, retried, ships: flags.shipRuns ?? false });
  const state = await running.finally(() => progress.stop());
  await written(io.stdout, flags.json ? `${JSON.stringify(stateObject(state))}\n` : resultTable(state));
  io.stderr.write(`${path}: all results in results.csv and summary.md\n`);
  const failed = failuresOf(state).length;
  if (failed > 0)
    io.stderr.write(`${failed} failed; to try them again: tautnet sweep --resume ${path} --retry-failed\n`);
  if (failed === state.states.length)
    throw new Failure(`${path}: expected a trial that ends, every one failed; see ${path}/summary.md`);
}

/** One object: every trial's point and result, and which are on the front. */
export const stateObject = ({ states, front, definition }: SweepState) => ({
  search: definition.search.search,
  trials: states.map(({ trial, end }) => ({ ...trial, ...end })),
  front,
});

/** Results, * on the front. */
export function resultTable(state: SweepState): string {
  const rows = state.states.flatMap((each) => {
    const { trial, end } = each;
    if (end === undefined) return [];
    const mark = isOnFront(state, each) ? '* ' : '  ';
    const name = `${mark}${trial.number} ${trialName(state, each)}`;
    if ('failed' in end) return [[name, 'failed', '', '', '']];
    const { epochs, natural, certified, minutes } = end.result;
    return [[name, String(epochs), percent(natural), percent(certified), minutes.toFixed(1)]];
  });
  const failures = failuresOf(state).map(
    (each) => `trial ${each.trial.number} failed twice: ${failureOf(each)}`,
  );
  const table = aligned([['  trial', 'epochs', 'natural', 'certified', 'minutes'], ...rows]);
  return `${[...table, ...(failures.length > 0 ? ['', ...failures] : [])].join('\n')}\n`;
}

/** What a sweep will cost, kind by kind. */
export function costTable(cost: SweepCost, sharing: Sharing): string {
  const { parallel, threads } = sharesOf(sharing);
  const rows = cost.kinds.map(({ settings, trials, steps, stepSeconds, seconds }) => [
    commandWords(settings),
    String(trials),
    String(steps),
    `${(1000 * stepSeconds).toFixed(1)} ms`,
    duration(seconds),
  ]);
  return `${[
    ...aligned([['kind', 'trials', 'steps', 'a step', 'training'], ...rows]),
    '',
    `${cost.trials} trials, ${parallel} at a time, threads of each: ${threads}; about ` +
      `${duration(cost.seconds)} of training; judging comes on top`,
  ].join('\n')}\n`;
}
