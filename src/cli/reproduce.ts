/** `tautnet reproduce`: the paper's claims, shown or refuted: runs, tables, intervals. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { CLAIMS, type ClaimName, SCALES, type Scale } from '../cluster/reproduction/claims.js';
import { experimentsFor, settingNames } from '../cluster/reproduction/experiments.js';
import { findingsOf } from '../cluster/reproduction/findings.js';
import { type ExperimentCost, reproduce, reproductionCost } from '../cluster/reproduction/reproduce.js';
import { sharesOf } from '../cluster/run-locally.js';
import { UsageError } from '../experiment/errors.js';
import { aligned } from './aligned.js';
import { type Io, type MakeCommand, written } from './command.js';
import { wholeNumber } from './flag-values.js';
import { sweepProgress } from './progress/sweep.js';
import { duration } from './progress/training.js';
import { shared } from './shared-options.js';
import { sharingOf } from './sweep.js';

interface ReproduceFlags {
  readonly scale: string;
  readonly setting?: string;
  readonly seeds?: string;
  readonly out?: string;
  readonly threads?: string;
  readonly parallel?: string;
  readonly equalTime?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export const makeReproduceCommand: MakeCommand = (io) =>
  new Command('reproduce')
    .description("test the paper's claims: tune, train with several seeds, certify, compare")
    .argument('<claims...>', `some of ${CLAIMS.join(', ')}, or all`)
    .option('--scale <name>', `how large (${SCALES.join('|')})`, 'small')
    .option('--setting <names>', 'some of its settings, with commas: at small S2, T, CNN3 (default: all)')
    .option('--seeds <count>', 'seeds of each row (default: 10, at paper scale 5, at smoke 2)')
    .addOption(shared('out', 'folder of all runs; default: runs/reproduce/<scale>-<claims>'))
    .addOption(shared('threads', 'of all runs together; default: available cores'))
    .option('--parallel <count>', 'runs at a time (default: one for each thread)')
    .option('--equal-time', "then train each row once more for the slowest row's time, and compare again")
    .option('--dry-run', 'say what will be run and what it will cost, and stop')
    .addHelpText('after', '\nThe same command goes on where it was stopped, also with more seeds.')
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
  const sharing = sharingOf(flags);
  const only = settingsOf(flags.setting, scale);
  const needed = experimentsFor(claims, scale);
  const experiments = needed.filter(({ name }) => !only || only.includes(name));
  if (experiments.length === 0) {
    const names = needed.map(({ name }) => name).join(', ');
    throw new UsageError(
      `--setting: expected one that ${claims.join(' or ')} looks at (${names}), got ${only?.join(', ')}; ` +
        'choose another',
    );
  }
  const out = flags.out ?? join('runs', 'reproduce', [scale, ...(only ?? []), ...wanted].join('-'));
  // What goes on has said what it costs.
  if (flags.dryRun || !existsSync(out)) {
    const costs = await reproductionCost({ experiments, seeds, sharing, signal: io.signal });
    const text = flags.json ? `${JSON.stringify(costs)}\n` : costTable(costs, sharesOf(sharing).parallel);
    if (flags.dryRun) return written(io.stdout, text);
    if (!flags.json) io.stderr.write(text);
  }
  const progress = sweepProgress(io.stderr);
  const more = [
    ...(only ? ['--setting', only.join()] : []),
    ...(seeds ? ['--seeds', seeds] : []),
    ...(flags.equalTime ? ['--equal-time'] : []),
  ];
  const evidence = await reproduce({
    experiments,
    seeds,
    equalTime: flags.equalTime,
    out,
    sharing,
    command: ['tautnet reproduce', ...wanted, '--scale', scale, ...more].join(' '),
    signal: io.signal,
    phase: (name) => void io.stderr.write(`${name}\n`),
    update: (state) => progress.update(state),
    onWait: (line) => void io.stderr.write(`${line}\n`),
  }).finally(() => progress.stop());
  const findings = evidence.flatMap(findingsOf);
  const files = {
    page: join(out, 'results.md'),
    table: join(out, 'results.csv'),
    figure: join(out, 'results.svg'),
  };
  await written(
    io.stdout,
    flags.json ? `${JSON.stringify({ findings, ...files })}\n` : `${findingsTable(findings)}\n`,
  );
  io.stderr.write(`results in ${files.page}, ${files.table} and ${files.figure}\n`);
}

/** The settings of `--setting`, each once; undefined for all. */
function settingsOf(text: string | undefined, scale: Scale): readonly string[] | undefined {
  const names = text?.split(',').map((name) => oneOf(settingNames(scale), name.trim(), '--setting'));
  return names && [...new Set(names)];
}

/** @throws UsageError unless the text is one of the names */
function oneOf(names: readonly string[], text: string, what: string, more = ''): string {
  if (names.includes(text)) return text;
  throw new UsageError(`${what}: expected one of ${names.join(', ')}${more}, got "${text}"; choose one`);
}

function costTable(costs: readonly ExperimentCost[], parallel: number): string {
  const rows = costs.flatMap(({ experiment, tuning, final }) =>
    (
      [
        ['tuning', tuning],
        ['all seeds', final],
      ] as const
    ).map(([name, cost]) => [
      `${experiment}, ${name}`,
      String(cost.trials),
      String(cost.kinds.reduce((sum, { steps }) => sum + steps, 0)),
      duration(cost.seconds),
    ]),
  );
  const seconds = costs.reduce((sum, { tuning, final }) => sum + tuning.seconds + final.seconds, 0);
  return `${[
    ...aligned([['part', 'runs', 'steps', 'training'], ...rows]),
    '',
    `about ${duration(seconds)} of training, ${parallel} at a time; certification comes on top`,
  ].join('\n')}\n`;
}

const points = (value: number): string => (Number.isFinite(value) ? (100 * value).toFixed(2) : '?');

function findingsTable(findings: ReturnType<typeof findingsOf>): string {
  return aligned([
    ['difference of certified accuracy, points', 'mean', 'low', 'high', 'seeds', ''],
    ...findings.map(({ claim, better, worse, certified, answer, experiment, equal }) => [
      `${claim}, ${experiment}, equal ${equal}: ${better} − ${worse}`,
      ...[certified.mean, certified.low, certified.high].map(points),
      String(certified.count),
      answer,
    ]),
  ]).join('\n');
}
