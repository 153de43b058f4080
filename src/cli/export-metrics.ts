/** `tautnet export-metrics`: metrics of runs as one table for other tools. */
import { extname } from 'node:path';
import { Command } from 'commander';
import { UsageError } from '../experiment/errors.js';
import { writeFileAtomic } from '../formats/atomic-file.js';
import { metricsCsv, metricsParquet } from '../insight/metrics/metrics-table.js';
import { readResults, runsIn } from '../insight/runs/run-results.js';
import type { Io, MakeCommand } from './command.js';
import { checkResultFiles } from './result-files.js';
import { shared } from './shared-options.js';

interface ExportFlags {
  readonly out?: string;
  readonly json?: boolean;
}

const FORMATS = ['.csv', '.parquet'];

export const makeExportMetricsCommand: MakeCommand = (io) =>
  new Command('export-metrics')
    .description('metrics of runs as one table, a row for each epoch: CSV or Parquet')
    .argument('<run...>', 'folders of runs, or folders that hold some')
    .addOption(shared('out', '.csv or .parquet; default: CSV on stdout'))
    .action((runs: readonly string[], flags: ExportFlags) => exportMetrics(runs, flags, io));

async function exportMetrics(paths: readonly string[], { out, json }: ExportFlags, io: Io): Promise<void> {
  if (out !== undefined) {
    if (!FORMATS.includes(extname(out)))
      throw new UsageError(`--out: expected a name that ends in ${FORMATS.join(' or ')}, got ${out}`);
    await checkResultFiles([out], paths, '--out');
  }
  const results = await Promise.all((await runsIn(paths)).map(readResults));
  const runs = results.map(({ path, metrics }) => ({ run: path, metrics }));
  const records = runs.reduce((sum, { metrics }) => sum + metrics.length, 0);
  if (out !== undefined)
    await writeFileAtomic(out, extname(out) === '.csv' ? metricsCsv(runs) : await metricsParquet(runs));
  if (json) io.stdout.write(`${JSON.stringify({ runs, ...(out !== undefined && { out }) })}\n`);
  else if (out === undefined) io.stdout.write(metricsCsv(runs));
  io.stderr.write(`${records} records of ${runs.length} ${runs.length === 1 ? 'run' : 'runs'}\n`);
}
