/** `tautnet report`: one page about a run, readable without scripts. */
import { join } from 'node:path';
import { Command } from 'commander';
import { readRun } from '../experiment/run/run-folder.js';
import { writeFileAtomic } from '../formats/atomic-file.js';
import type { Io, MakeCommand } from './command.js';
import { fetchedDataset } from './fetched-dataset.js';
import { setting } from './flag-values.js';
import { checkResultFiles } from './result-files.js';
import { shared } from './shared-options.js';

interface ReportFlags {
  readonly out?: string;
  readonly dataDir?: string;
  readonly json?: boolean;
}

export const makeReportCommand: MakeCommand = (io) =>
  new Command('report')
    .description('write one HTML page about a run: curves, verdicts by class, hardest images')
    .argument('<run>', 'folder of a run')
    .addOption(shared('out', 'default: report.html in the run'))
    .addOption(shared('dataDir'))
    .action((run: string, flags: ReportFlags) => report(run, flags, io));

async function report(path: string, flags: ReportFlags, io: Io): Promise<void> {
  const { settings } = await readRun(path);
  const out = flags.out ?? join(path, 'report.html');
  await checkResultFiles([out], [path], '--out');
  const dataDir = setting('dataDir', flags.dataDir, '--data-dir') ?? settings.dataDir;
  const loading = fetchedDataset(settings.dataset, { dataDir, pool: settings.pool }, io);
  const dataset = await loading.catch((error: unknown) => {
    // The page does without images rather than not being written.
    if (io.signal.aborted || flags.dataDir !== undefined) throw error;
    io.stderr.write(`no images on the page: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  });
  // Loaded here, as what draws takes longer than the start of any other command.
  const { reportOn } = await import('../insight/report/report.js');
  await writeFileAtomic(out, await reportOn(path, dataset));
  io.stdout.write(flags.json ? `${JSON.stringify({ run: path, report: out })}\n` : `${out}\n`);
}
