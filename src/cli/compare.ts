/** `tautnet compare`: runs side by side. */

import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import type { Split } from '../data/dataset.js';
import { UsageError } from '../experiment/errors.js';
import type { Settings } from '../experiment/settings/settings.js';
import { trainedNetwork } from '../experiment/trained-network.js';
import { toFileError } from '../formats/file-error.js';
import { markdownTable } from '../formats/markdown.js';
import { checkFigureName, writeFigure } from '../insight/figure/write-figure.js';
import {
  compareRuns,
  comparisonCsv,
  comparisonFigure,
  comparisonRows,
  type LossesOfRuns,
  type PublishedPoint,
} from '../insight/runs/comparison.js';
import { firstOf, LOSS_IMAGES, relaxationLosses } from '../insight/runs/relaxation-losses.js';
import { type RunResults, readResults, runsIn } from '../insight/runs/run-results.js';
import { createPool } from '../runtime/pool/pool.js';
import { aligned } from './aligned.js';
import type { Io, MakeCommand } from './command.js';
import { fetchedDataset } from './fetched-dataset.js';
import { relaxationList, setting } from './flag-values.js';
import { checkResultFiles } from './result-files.js';
import { shared } from './shared-options.js';

interface CompareFlags {
  readonly format: 'table' | 'csv' | 'markdown';
  readonly published?: string;
  readonly losses?: string;
  readonly threads?: string;
  readonly dataDir?: string;
  readonly out?: string;
  readonly json?: boolean;
}

export const makeCompareCommand: MakeCommand = (io) =>
  new Command('compare')
    .description('compare runs: the settings that differ, three accuracies, and their Pareto front')
    .argument('<run...>', 'folders of runs, or folders that hold some')
    .addOption(
      new Option('--format <name>', 'how the table is printed')
        .choices(['table', 'csv', 'markdown'])
        .default('table'),
    )
    .option(
      '--published <file>',
      'CSV of published results to draw hollow: label,natural,certified in [0, 1]',
    )
    .option('--losses <list>', 'relaxations under which the loss of each run is computed, on test images')
    .addOption(shared('threads', 'of --losses; default: available cores'))
    .addOption(shared('dataDir', 'of --losses'))
    .addOption(shared('out', 'the figure: .svg, .png, or .csv for its numbers; default: none'))
    .action((runs: readonly string[], flags: CompareFlags) => compare(runs, flags, io));

async function compare(paths: readonly string[], flags: CompareFlags, io: Io): Promise<void> {
  const { out, format, json } = flags;
  if (out !== undefined) {
    checkFigureName(out, '--out');
    await checkResultFiles([out], paths, '--out');
  }
  const published = flags.published === undefined ? [] : await publishedIn(flags.published);
  const names = flags.losses === undefined ? [] : relaxationList('losses', flags.losses);
  const threads = setting('threads', flags.threads, '--threads');
  const results = await Promise.all((await runsIn(paths)).map(readResults));
  const losses = names.length === 0 ? {} : await lossesOf(results, names, { ...flags, threads }, io);
  const comparison = compareRuns(results, losses);
  const rows = comparisonRows(comparison);
  const text = { table: () => `${aligned(rows).join('\n')}\n`, csv: () => comparisonCsv(comparison) };
  if (json) io.stdout.write(`${JSON.stringify(comparison)}\n`);
  else io.stdout.write(format === 'markdown' ? markdownTable(rows) : text[format]());
  for (const { run } of comparison.runs.filter(({ natural }) => natural === null))
    io.stderr.write(`${run}: no verdicts yet; \`tautnet certify ${run}\` proves them\n`);
  if (out === undefined) return;
  const figure = comparisonFigure(comparison, published);
  if (figure === undefined)
    throw new UsageError(`--out: expected a run with verdicts, got none of ${results.length}; certify one`);
  await writeFigure(out, figure);
  io.stderr.write(`drawn in ${out}\n`);
}

/** Loss of each finished run under relaxations. @throws as reading a run, its data set */
async function lossesOf(
  results: readonly RunResults[],
  names: readonly string[],
  { dataDir, threads }: { readonly dataDir?: string; readonly threads?: number },
  io: Io,
): Promise<LossesOfRuns> {
  const pool = createPool(threads);
  const losses: Record<string, Record<string, number>> = {};
  const splits = new Map<string, Split>();
  /** Test images of a run, which runs of one data set share. */
  const splitOf = async ({ dataset, pool: pooling, dataDir: own }: Settings): Promise<Split> => {
    const where = { dataDir: dataDir ?? own, pool: pooling };
    const key = JSON.stringify([dataset, where]);
    const split = splits.get(key) ?? firstOf((await fetchedDataset(dataset, where, io)).test, LOSS_IMAGES);
    splits.set(key, split);
    return split;
  };
  try {
    for (const { path, settings } of results.filter(({ finished }) => finished)) {
      const { network, parameters } = await trainedNetwork(path, { signal: io.signal });
      const measured = { network, parameters, settings, split: await splitOf(settings) };
      losses[path] = await relaxationLosses(measured, names, pool);
    }
  } finally {
    await pool.close();
  }
  return losses;
}

/** @throws UsageError naming the line that is no point */
async function publishedIn(path: string): Promise<PublishedPoint[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new UsageError(`--published: ${toFileError(path, 'read', error).message}`, { cause: error });
  });
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  return lines.flatMap((line, i) => {
    if (i === 0 && line === 'label,natural,certified') return [];
    const [, label, natural, certified] = /^"?(.*?)"?,([^,]+),([^,]+)$/.exec(line) ?? [];
    const point = { label: label ?? '', natural: Number(natural), certified: Number(certified) };
    const within = [point.natural, point.certified].every((value) => value >= 0 && value <= 1);
    if (within) return [point];
    throw new UsageError(
      `--published: ${path}, line ${i + 1}: expected label,natural,certified with accuracies in [0, 1], ` +
        `got "${line.slice(0, 60)}"`,
    );
  });
}
