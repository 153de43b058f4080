/**
 * Runs the experiments of some claims: tunes, trains with all seeds, judges, writes page, table and figure.
 * Each part is a sweep, so what was stopped goes on with the same call.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { writeFileAtomic } from '../../formats/atomic-file.js';
import { makeFolder } from '../../formats/folder.js';
import { writeFigure } from '../../insight/figure/write-figure.js';
import type { SweepDefinition } from '../definition.js';
import type { Assignment } from '../search/parameter.js';
import type { SweepRunner } from '../sweep.js';
import { createSweepFolder, extendSweepFolder, forgetFailures, readSweepFolder } from '../sweep-folder.js';
import type { SweepState } from '../sweep-state.js';
import type { Experiment } from './claims.js';
import { equalTimeSweep, slowestRow } from './equal-time.js';
import {
  equalTimePath,
  equalTimeRows,
  finalPath,
  readEvidence,
  readPart,
  tuningPath,
} from './evidence-folder.js';
import { extended } from './extension.js';
import { evidenceFigure } from './figures.js';
import type { Evidence } from './findings.js';
import { adoptRuns, epochsOf, type KnownRun, runsOf } from './known-runs.js';
import { reportCsv, reportPage } from './report.js';
import { bestPoints, finalSweep, type RowTrial, rowTrials, tuningSweep } from './sweeps.js';

export interface ReproductionOptions {
  readonly experiments: readonly Experiment[];
  /** Seeds 0, 1, … of each row (default: the experiment's). */
  readonly seeds?: number;
  /** Whether every row is trained once more in the slowest row's time. */
  readonly equalTime?: boolean;
  /** Whether runs that failed are tried again. */
  readonly retryFailed?: boolean;
  /** Runs that need not run again (default: those of the folder). */
  readonly known?: readonly KnownRun[];
  /** Folder of all sweeps and results. */
  readonly out: string;
  /** Goes on with each of its sweeps, wherever trials are done. */
  readonly run: SweepRunner;
  /** The command that does all that has run, for the page. */
  readonly command: (evidence: readonly Evidence[]) => string;
  readonly signal?: AbortSignal;
  /** Told where the work stands: "S2, tuning". */
  readonly phase?: (name: string) => void;
  readonly update?: (state: SweepState) => void;
  readonly onWait?: (line: string) => void;
}

/**
 * @returns what every experiment came to
 * @throws UsageError for a folder with other sweeps; the reason of `signal`, after which the call goes on
 */
export async function reproduce(options: ReproductionOptions): Promise<readonly Evidence[]> {
  const { experiments, out, known = [], command, phase } = options;
  const evidence: Evidence[] = [];
  for (const experiment of experiments) {
    phase?.(`${experiment.name}, tuning`);
    // What was chosen for a row that has begun with its seeds stays.
    const begun = new Set((await readPart(finalPath(out, experiment)))?.definition.labels);
    const tuning = await part(
      tuningPath(out, experiment),
      tuningSweep(experiment),
      runsOf(known, experiment.name, 'tuning'),
      options,
      (row) => !begun.has(row),
    );
    const best = bestPoints(experiment, rowTrials(tuning));
    phase?.(`${experiment.name}, all seeds`);
    const seeds = options.seeds ?? experiment.seeds;
    const final = await part(
      finalPath(out, experiment),
      finalSweep(experiment, best, seeds),
      runsOf(known, experiment.name, 'final'),
      options,
    );
    if (options.equalTime) await inEqualTime(experiment, best, rowTrials(final), options);
    evidence.push((await readEvidence(out, experiment)) as Evidence);
    await writeResults(join(out, 'results'), evidence, command(evidence));
  }
  return evidence;
}

/** Trains the rows of an experiment once more, in the slowest one's time. */
async function inEqualTime(
  experiment: Experiment,
  best: ReadonlyMap<string, Assignment>,
  final: readonly RowTrial[],
  options: ReproductionOptions,
): Promise<void> {
  const { out, phase } = options;
  const slowest = slowestRow(final, await equalTimeRows(out, experiment));
  if (slowest === undefined) return;
  const path = equalTimePath(out, experiment, slowest);
  const known = (await readPart(path))?.definition;
  const told = runsOf(options.known ?? [], experiment.name, 'equal time');
  const seeds = options.seeds ?? experiment.seeds;
  const longer = equalTimeSweep(experiment, best, seeds, final, { slowest, known, told: epochsOf(told) });
  if (longer === undefined) return;
  phase?.(`${experiment.name}, all seeds in the time of ${slowest}`);
  await part(path, longer, told, options);
}

/** Writes the page, the table and the figure: `path` with .md, .csv and .svg. @throws FileError */
export async function writeResults(
  path: string,
  evidence: readonly Evidence[],
  command: string,
): Promise<void> {
  await makeFolder(dirname(path));
  await writeFileAtomic(`${path}.md`, reportPage(evidence, command, `${basename(path)}.svg`));
  await writeFileAtomic(`${path}.csv`, reportCsv(evidence));
  await writeFigure(`${path}.svg`, evidenceFigure(evidence));
}

/** A sweep begun, gone on with, extended, or read if it is finished; what is known of it is not run. */
async function part(
  path: string,
  definition: SweepDefinition,
  told: readonly KnownRun[],
  { run, retryFailed, signal, update, onWait }: ReproductionOptions,
  mayRetry?: (row: string) => boolean,
): Promise<SweepState> {
  if (!existsSync(join(path, 'sweep.json'))) {
    await makeFolder(path);
    await createSweepFolder(path, definition);
  }
  const known = (await readSweepFolder(path)).definition;
  // A folder of fewer seeds or rows gets the others.
  const whole = extended(known, definition);
  if (whole !== known) await extendSweepFolder(path, whole ?? definition);
  if (told.length > 0) await adoptRuns(path, told);
  const retried = retryFailed ? await forgetFailures(path, mayRetry) : [];
  return run(path, { retried, signal, update, onWait });
}
