/** `tautnet reproduce`: the paper's claims, shown or refuted: runs, tables, intervals. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import {
  CLAIMS,
  type ClaimName,
  type Experiment,
  SCALES,
  type Scale,
} from '../cluster/reproduction/claims.js';
import { ranOptions } from '../cluster/reproduction/command.js';
import { reproductionCost } from '../cluster/reproduction/cost.js';
import { readEvidence } from '../cluster/reproduction/evidence-folder.js';
import { experimentsFor, settingNames } from '../cluster/reproduction/experiments.js';
import {
  type Evidence,
  failedRuns,
  findingsOf,
  panelsOf,
  rankingOf,
} from '../cluster/reproduction/findings.js';
import { readKnownRuns } from '../cluster/reproduction/known-runs.js';
import { reproduce, writeResults } from '../cluster/reproduction/reproduce.js';
import { sharesOf } from '../cluster/run-locally.js';
import { UsageError } from '../experiment/errors.js';
import { type Io, type MakeCommand, written } from './command.js';
import { setting, wholeNumber } from './flag-values.js';
import { sweepProgress } from './progress/sweep.js';
import { costTable, failureNotice, findingsTable } from './reproduction-tables.js';
import { shared } from './shared-options.js';
import { type PlaceFlags, placeOf, runnerAt, startWorkers, withPlaceOptions } from './sweep-place.js';

interface ReproduceFlags extends PlaceFlags {
  readonly scale: string;
  readonly setting?: string;
  readonly rows?: string;
  readonly seeds?: string;
  readonly out?: string;
  readonly device?: string;
  readonly equalTime?: boolean;
  readonly known?: string;
  readonly retryFailed?: boolean;
  readonly report?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export const makeReproduceCommand: MakeCommand = (io) =>
  withPlaceOptions(
    new Command('reproduce')
      .description("test the paper's claims: tune, train with several seeds, certify, compare")
      .argument('<claims...>', `some of ${CLAIMS.join(', ')}, or all`)
      .option('--scale <name>', `how large (${SCALES.join('|')})`, 'small')
      .option('--setting <names>', 'some of its settings, with commas; see below')
      .option(
        '--rows <names>',
        'rows of the claims, with commas, such as ibp,crown (default: the usual ones)',
      )
      .option('--seeds <count>', 'seeds of each row (default: 10, at paper scale 5, at smoke 2)')
      .addOption(shared('device', 'default: cpu; other devices give other bits'))
      .addOption(shared('out', 'folder of all runs; default: runs/reproduce/<scale>-<claims>')),
    'runs',
  )
    .option('--equal-time', "then train each row once more for the slowest row's time, and compare again")
    .option('--known <tables>', 'tables of earlier runs (.csv), with commas: what they tell is not run again')
    .option('--retry-failed', 'try runs again that failed')
    .option('--dry-run', 'say what will be run and what it will cost, and stop')
    .option('--report <path>', 'write what has run so far to <path>.md, .csv and .svg, and stop')
    .addHelpText(
      'after',
      `\nSettings: ${settingsHelp()}\n` +
        'The same command goes on where it was stopped, also with more seeds or other rows.',
    )
    .action((names: string[], flags: ReproduceFlags) => reproduceClaims(names, flags, io));

/** The claims of the command line in their own order, each once. */
function claimsOf(names: readonly string[]): readonly ClaimName[] {
  for (const name of names) if (name !== 'all') oneOf(CLAIMS, name, 'claim', ' or all');
  return CLAIMS.filter((claim) => names.includes('all') || names.includes(claim));
}

async function reproduceClaims(names: readonly string[], flags: ReproduceFlags, io: Io): Promise<void> {
  const claims = claimsOf(names);
  const wanted = claims.length === CLAIMS.length ? ['all'] : claims;
  const scale = oneOf(SCALES, flags.scale, '--scale') as Scale;
  const seeds = wholeNumber('seeds', flags.seeds);
  const device = setting('device', flags.device, '--device');
  // Runs share the processor's threads, but this machine's device has memory for one at a time.
  const isShared = flags.queue !== undefined || device === undefined || device === 'cpu';
  const place = placeOf({ ...flags, parallel: flags.parallel ?? (isShared ? undefined : '1') }, io);
  const only = settingsOf(flags.setting, scale);
  const experiments = experimentsFor(claims, scale, { settings: only, rows: listOf(flags.rows), device });
  const out = flags.out ?? join('runs', 'reproduce', [scale, ...(only ?? []), ...wanted].join('-'));
  const command = (evidence: readonly Evidence[]): string =>
    [
      ...['tautnet reproduce', ...wanted, '--scale', scale],
      ...(only ? ['--setting', only.join()] : []),
      ...ranOptions(evidence, claims, experimentsFor(claims, scale, { settings: only })),
      ...(evidence.some(({ equalTime }) => equalTime) ? ['--equal-time'] : []),
    ].join(' ');
  if (flags.report !== undefined) return report(flags.report, out, experiments, command, flags, io);
  const tables = await Promise.all((listOf(flags.known) ?? []).map((path) => readKnownRuns(path)));
  const known = tables.flat();
  // What goes on has said what it costs; of what workers do this machine cannot say.
  if (flags.dryRun || (place.address === undefined && !existsSync(out))) {
    const { sharing } = place;
    const costs = await reproductionCost({ experiments, seeds, known, sharing, out, signal: io.signal });
    const text = flags.json ? `${JSON.stringify(costs)}\n` : costTable(costs, sharesOf(sharing).parallel);
    if (flags.dryRun) return written(io.stdout, text);
    if (!flags.json) io.stderr.write(text);
  }
  await startWorkers(out, place, io);
  const progress = sweepProgress(io.stderr);
  const evidence = await reproduce({
    ...{ experiments, seeds, equalTime: flags.equalTime, known, retryFailed: flags.retryFailed, out },
    ...{ run: runnerAt(place), command, signal: io.signal },
    phase: (name) => void io.stderr.write(`${name}\n`),
    update: (state) => progress.update(state),
    onWait: (line) => void io.stderr.write(`${line}\n`),
  }).finally(() => progress.stop());
  await told(evidence, join(out, 'results'), flags, io);
}

/** Writes what has run so far, and nothing else. @throws UsageError where nothing has */
async function report(
  path: string,
  out: string,
  experiments: readonly Experiment[],
  command: (evidence: readonly Evidence[]) => string,
  flags: ReproduceFlags,
  io: Io,
): Promise<void> {
  const read = await Promise.all(experiments.map((experiment) => readEvidence(out, experiment)));
  const evidence = read.filter((each) => each !== undefined);
  if (evidence.length === 0)
    throw new UsageError(
      `--report: expected runs in ${out}, it has none of these claims; name their folder: --out`,
    );
  await writeResults(path, evidence, command(evidence));
  await told(evidence, path, flags, io);
}

/** Says what was found and where it is written. */
async function told(
  evidence: readonly Evidence[],
  path: string,
  flags: ReproduceFlags,
  io: Io,
): Promise<void> {
  const findings = evidence.flatMap(findingsOf);
  const failed = evidence.flatMap(failedRuns);
  const files = { page: `${path}.md`, table: `${path}.csv`, figure: `${path}.svg` };
  const best = evidence.flatMap((each) =>
    panelsOf(each).map((equal) => ({ experiment: each.experiment.name, equal, ...rankingOf(each, equal) })),
  );
  await written(
    io.stdout,
    flags.json ? `${JSON.stringify({ findings, best, failed, ...files })}\n` : findingsTable(evidence),
  );
  if (failed.length > 0) io.stderr.write(failureNotice(failed));
  io.stderr.write(`results in ${files.page}, ${files.table} and ${files.figure}\n`);
}

/** Names with commas between them, each once; undefined for none. */
const listOf = (text: string | undefined): readonly string[] | undefined =>
  text === undefined ? undefined : [...new Set(text.split(',').map((name) => name.trim()))];

/** The settings of `--setting`; undefined for the usual ones. */
const settingsOf = (text: string | undefined, scale: Scale): readonly string[] | undefined =>
  listOf(text)?.map((name) => oneOf(settingNames(scale), name, '--setting'));

/** "smoke: S2, T; small: S2, T, CNN3, and where named full-0.1, …; …". */
const settingsHelp = (): string =>
  SCALES.map((scale) => {
    const named = settingNames(scale, 'optional');
    const more = named.length > 0 ? `, and only where named ${named.join(', ')}` : '';
    return `${scale}: ${settingNames(scale, 'usual').join(', ')}${more}`;
  }).join('; ');

/** @throws UsageError unless the text is one of the names */
function oneOf(names: readonly string[], text: string, what: string, more = ''): string {
  if (names.includes(text)) return text;
  throw new UsageError(`${what}: expected one of ${names.join(', ')}${more}, got "${text}"; choose one`);
}
