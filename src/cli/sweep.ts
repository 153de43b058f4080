/** `tautnet sweep`: many trainings, searched over settings; stopped at any moment it goes on. */

import { basename, join } from 'node:path';
import { Command } from 'commander';
import { type SweepCost, sweepCost } from '../cluster/cost.js';
import { commandWords, plannedTrials } from '../cluster/definition.js';
import { type Sharing, sharesOf } from '../cluster/run-locally.js';
import { readSweepFile } from '../cluster/sweep-file.js';
import { createSweepFolder, forgetFailures, readSweepFolder } from '../cluster/sweep-folder.js';
import { failureOf, failuresOf, isOnFront, type SweepState } from '../cluster/sweep-state.js';
import { trialName } from '../cluster/sweep-table.js';
import { Failure, UsageError } from '../experiment/errors.js';
import { percent } from '../experiment/percent.js';
import { aligned } from './aligned.js';
import { type Io, type MakeCommand, written } from './command.js';
import { sweepProgress } from './progress/sweep.js';
import { duration } from './progress/training.js';
import { shared } from './shared-options.js';
import {
  type Place,
  type PlaceFlags,
  placeOf,
  runnerAt,
  startWorkers,
  withPlaceOptions,
} from './sweep-place.js';

interface SweepFlags extends PlaceFlags {
  readonly out?: string;
  readonly resume?: string;
  readonly retryFailed?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export const makeSweepCommand: MakeCommand = (io) =>
  withPlaceOptions(
    new Command('sweep')
      .description('train many networks and search settings: grid, random or successive halving')
      .argument('[file]', 'YAML file that says what is searched')
      .addOption(shared('out', 'a folder to create; default: runs/sweeps/ and the name of the file'))
      .option('--resume <path>', 'go on with the sweep in this folder')
      .option('--retry-failed', 'with --resume: trials that failed are tried again'),
    'trials',
  )
    .option('--dry-run', 'check every trial and say what all will cost, by one step of each kind')
    .action(async (file: string | undefined, flags: SweepFlags) => sweep(file, flags, io));

async function sweep(file: string | undefined, flags: SweepFlags, io: Io): Promise<void> {
  const place = placeOf(flags, io);
  if (flags.retryFailed && flags.resume === undefined)
    throw new UsageError(
      '--retry-failed: expected --resume beside it, got none; name the folder of the sweep',
    );
  if ((file === undefined) === (flags.resume === undefined))
    throw new UsageError('sweep: expected a file or --resume, one of the two; see `tautnet sweep --help`');
  if (file === undefined) return goOn(flags.resume as string, place, flags, io);
  const definition = await readSweepFile(file);
  const planned = plannedTrials(definition);
  if (flags.dryRun) {
    const cost = await sweepCost(definition, { ...sharesOf(place.sharing), signal: io.signal });
    await written(io.stdout, flags.json ? `${JSON.stringify(cost)}\n` : costTable(cost, place.sharing));
    return;
  }
  const out = flags.out ?? join('runs', 'sweeps', basename(file).replace(/\.ya?ml$/, ''));
  await createSweepFolder(out, definition);
  io.stderr.write(`${planned.length} trials in ${out}\n`);
  await goOn(out, place, flags, io);
}

async function goOn(path: string, place: Place, flags: SweepFlags, io: Io): Promise<void> {
  const retried = flags.retryFailed ? await forgetFailures(path) : [];
  const { finished } = await readSweepFolder(path);
  if (finished)
    throw new UsageError(
      `--resume: expected an unfinished sweep, ${path} is finished; read ${path}/summary.md`,
    );
  await startWorkers(path, place, io);
  const progress = sweepProgress(io.stderr);
  const state = await runnerAt(place)(path, {
    retried,
    signal: io.signal,
    onWait: (line) => void io.stderr.write(`${line}\n`),
    update: (now) => progress.update(now),
  }).finally(() => progress.stop());
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
