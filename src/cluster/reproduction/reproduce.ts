/**
 * Runs the experiments of some claims: tunes, trains with all seeds, judges, writes page, table and figure.
 * Each part is a sweep, so what was stopped goes on with the same call.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../formats/atomic-file.js';
import { makeFolder } from '../../formats/folder.js';
import { writeFigure } from '../../insight/figure/write-figure.js';
import { type SweepCost, sweepCost } from '../cost.js';
import type { SweepDefinition } from '../definition.js';
import { runLocally, type Sharing, sharesOf } from '../run-locally.js';
import { createSweepFolder, extendSweepFolder, readSweepFolder } from '../sweep-folder.js';
import type { SweepState } from '../sweep-state.js';
import type { Experiment } from './claims.js';
import { evidenceFigure } from './figures.js';
import type { Evidence } from './findings.js';
import { reportCsv, reportPage } from './report.js';
import { bestPoints, equalTimeSweep, finalSweep, rowTrials, tuningSweep } from './sweeps.js';

export interface ReproductionOptions {
  readonly experiments: readonly Experiment[];
  /** Seeds 0, 1, … of each row (default: the experiment's). */
  readonly seeds?: number;
  /** Whether every row is trained once more in the slowest row's time. */
  readonly equalTime?: boolean;
  /** Folder of all sweeps and results. */
  readonly out: string;
  readonly sharing: Sharing;
  /** The command that does this, for the page. */
  readonly command: string;
  readonly signal?: AbortSignal;
  /** Told where the work stands: "S2, tuning". */
  readonly phase?: (name: string) => void;
  readonly update?: (state: SweepState) => void;
  readonly onWait?: (line: string) => void;
}

/** What both sweeps of an experiment will cost. */
export interface ExperimentCost {
  readonly experiment: string;
  readonly tuning: SweepCost;
  readonly final: SweepCost;
}

/** Measures one step of each kind of each experiment. Training alone: certification comes on top. */
export async function reproductionCost(
  options: Pick<ReproductionOptions, 'experiments' | 'seeds' | 'sharing' | 'signal'>,
): Promise<ExperimentCost[]> {
  const shares = { ...sharesOf(options.sharing), signal: options.signal };
  const costs: ExperimentCost[] = [];
  for (const experiment of options.experiments) {
    const starts = new Map(experiment.rows.map((row) => [row.name, { ...row.settings, ...row.start }]));
    const seeds = options.seeds ?? experiment.seeds;
    const tuning = await sweepCost(tuningSweep(experiment), shares);
    const final = await sweepCost(finalSweep(experiment, starts as never, seeds), shares);
    costs.push({ experiment: experiment.name, tuning, final });
  }
  return costs;
}

/**
 * @returns what every experiment came to
 * @throws UsageError for a folder with other sweeps; the reason of `signal`, after which the call goes on
 */
export async function reproduce(options: ReproductionOptions): Promise<readonly Evidence[]> {
  const { experiments, out, command, phase } = options;
  const evidence: Evidence[] = [];
  for (const experiment of experiments) {
    phase?.(`${experiment.name}, tuning`);
    const tuning = await part(join(out, experiment.name, 'tuning'), tuningSweep(experiment), options);
    const best = bestPoints(experiment, rowTrials(tuning));
    phase?.(`${experiment.name}, all seeds`);
    const seeds = options.seeds ?? experiment.seeds;
    const final = await part(
      join(out, experiment.name, 'final'),
      finalSweep(experiment, best, seeds),
      options,
    );
    const longer = options.equalTime ? equalTimeSweep(experiment, best, seeds, rowTrials(final)) : undefined;
    if (longer) phase?.(`${experiment.name}, all seeds in equal time`);
    const equalTime = longer && (await part(join(out, experiment.name, 'equal-time'), longer, options));
    evidence.push({ experiment, tuning, final, ...(equalTime && { equalTime }) });
    await writeResults(out, evidence, command);
  }
  return evidence;
}

async function writeResults(out: string, evidence: readonly Evidence[], command: string): Promise<void> {
  await writeFileAtomic(join(out, 'results.md'), reportPage(evidence, command));
  await writeFileAtomic(join(out, 'results.csv'), reportCsv(evidence));
  await writeFigure(join(out, 'results.svg'), evidenceFigure(evidence));
}

/** A sweep begun, gone on with, or read if it is finished. */
async function part(
  path: string,
  definition: SweepDefinition,
  { sharing, signal, update, onWait }: ReproductionOptions,
): Promise<SweepState> {
  if (!existsSync(join(path, 'sweep.json'))) {
    await makeFolder(path);
    await createSweepFolder(path, definition);
  }
  const known = await readSweepFolder(path);
  // A folder of fewer seeds gets the others.
  if (JSON.stringify(known.definition) !== JSON.stringify(definition))
    await extendSweepFolder(path, definition);
  return runLocally(path, sharing, { signal, update, onWait });
}
