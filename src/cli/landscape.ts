/** `tautnet landscape`: how the loss of each relaxation looks around a network's parameters. */
import { Command } from 'commander';
import { UsageError } from '../experiment/errors.js';
import { readRun } from '../experiment/run/run-folder.js';
import { resolveSettings } from '../experiment/settings/resolve-settings.js';
import type { GivenSettings, Settings } from '../experiment/settings/settings.js';
import { trainedNetwork } from '../experiment/trained-network.js';
import { checkFigureName, writeFigure } from '../insight/figure/write-figure.js';
import {
  type DirectionChoice,
  type Landscape,
  landscape,
  type Subject,
} from '../insight/landscape/landscape.js';
import { landscapeFigure, planeFigure } from '../insight/landscape/landscape-figure.js';
import { MEASURES, measureCells } from '../insight/landscape/measure-cells.js';
import { firstTrainingImages, initialSubject, trainedSubject } from '../insight/landscape/run-subjects.js';
import { aligned } from './aligned.js';
import type { Io, MakeCommand } from './command.js';
import { fetchedDataset } from './fetched-dataset.js';
import { positiveNumber, relaxationList, setting, wholeNumber } from './flag-values.js';
import { stepsProgress } from './progress/steps.js';
import { checkResultFiles } from './result-files.js';
import { shared } from './shared-options.js';

interface LandscapeFlags {
  readonly random?: boolean;
  readonly dataset?: string;
  readonly architecture?: string;
  readonly relaxations: string;
  readonly direction: string;
  readonly plane?: string;
  readonly span?: string;
  readonly points?: string;
  readonly sigmas: string;
  readonly samples?: string;
  readonly batchSize?: string;
  readonly epsilon?: string;
  readonly initial: boolean;
  readonly detrend?: boolean;
  readonly seed?: string;
  readonly threads?: string;
  readonly dataDir?: string;
  readonly out: string;
  readonly json?: boolean;
}

export const makeLandscapeCommand: MakeCommand = (io) =>
  new Command('landscape')
    .description('draw the loss of each relaxation around the parameters of a network, raw and smoothed')
    .argument('[run]', 'folder of a finished run')
    .option('--random', 'a network at its initialisation instead of a run')
    .option('--dataset <name>', 'data set of --random (default: mnist)')
    .option('--architecture <name>', 'network of --random (default: cnn3)')
    .option('--relaxations <list>', 'relaxations to compare', 'ibp,crown-ibp,crown')
    .option(
      '--direction <name>',
      'random, gradient, or a run of the same architecture to go towards',
      'random',
    )
    .option('--plane <points>', 'look at a plane of so many points squared, too')
    .option('--span <number>', 'half the length of the line; 0.01 is 1 % of the weights (default: 0.01)')
    .option('--points <count>', 'points of the line (default: 41)')
    .option('--sigmas <list>', 'σ of smoothing, 0 for the loss itself', '0,0.001')
    .option('--samples <count>', 'antithetic pairs for each smoothed value (default: 8)')
    .option('--batch-size <count>', 'training images that the loss is the mean of (default: 8)')
    .addOption(shared('epsilon', 'default: that of the run'))
    .option('--detrend', 'draw curves without their straight part: their shape beside a steep slope')
    .option('--no-initial', 'leave the initialisation of the run out')
    .option('--seed <count>', 'seed of directions and perturbations (default: 0)')
    .addOption(shared('threads', 'default: available cores'))
    .addOption(shared('dataDir'))
    .addOption(shared('out', '.svg, .png, or .csv for its numbers').default('landscape.svg'))
    .action((run: string | undefined, flags: LandscapeFlags) => look(run, flags, io));

async function look(run: string | undefined, flags: LandscapeFlags, io: Io): Promise<void> {
  const numbers = numbersOf(flags);
  checkFigureName(flags.out, '--out');
  await checkResultFiles([flags.out], run === undefined ? [] : [run], '--out');
  const settings = await settingsOf(run, flags);
  const subjects = await subjectsOf(run, settings, flags, io);
  const direction = await directionOf(flags.direction);
  const batch = await batchOf(settings, numbers.images, flags, io);
  const progress = stepsProgress(io.stderr, 'curves');
  const { clipBox, epsilon } = settings;
  const found = await landscape({
    ...numbers,
    subjects,
    batch,
    direction,
    epsilon: setting('epsilon', flags.epsilon, '--epsilon') ?? epsilon,
    clipBox,
    progress: (done, total) => progress.update(done, total),
    signal: io.signal,
  }).finally(() => progress.stop());
  io.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : landscapeTable(found));
  const files = await draw(found, flags);
  io.stderr.write(`drawn in ${files.join(', ')}\n`);
}

/** @throws UsageError for a number, a list or a relaxation that cannot be */
function numbersOf(flags: LandscapeFlags) {
  const points = wholeNumber('points', flags.points) ?? 41;
  if (points < 3 || points % 2 === 0)
    throw new UsageError(`--points: expected an odd number of at least 3, got ${points}; take ${points + 1}`);
  const plane = wholeNumber('plane', flags.plane);
  if (plane !== undefined && plane < 3)
    throw new UsageError(`--plane: expected at least 3 points, got ${plane}`);
  return {
    points,
    plane,
    relaxations: relaxationList('relaxations', flags.relaxations),
    sigmas: [...new Set(flags.sigmas.split(',').map((text) => sigmaOf(text)))],
    span: positiveNumber('span', flags.span) ?? 0.01,
    samples: wholeNumber('samples', flags.samples) ?? 8,
    images: wholeNumber('batch-size', flags.batchSize) ?? 8,
    seed: setting('seed', flags.seed, '--seed') ?? 0,
    threads: setting('threads', flags.threads, '--threads'),
  };
}

function sigmaOf(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new UsageError(`--sigmas: expected numbers of at least 0 separated by commas, got "${text}"`);
}

/** Settings of the run, or of a network at random. */
async function settingsOf(run: string | undefined, flags: LandscapeFlags): Promise<Settings> {
  if ((run === undefined) === (flags.random === undefined))
    throw new UsageError('landscape: expected a run or --random, give one of them');
  if (run !== undefined) {
    const other = flags.dataset !== undefined ? '--dataset' : flags.architecture && '--architecture';
    if (other) throw new UsageError(`${other}: expected --random beside it, a run has its own; leave it out`);
    return (await readRun(run)).settings;
  }
  const given: GivenSettings = {
    dataset: setting('dataset', flags.dataset, '--dataset') ?? 'mnist',
    architecture: setting('architecture', flags.architecture, '--architecture') ?? 'cnn3',
    seed: setting('seed', flags.seed, '--seed'),
  };
  return resolveSettings(given);
}

async function subjectsOf(
  run: string | undefined,
  settings: Settings,
  { initial }: LandscapeFlags,
  io: Io,
): Promise<Subject[]> {
  const first = initialSubject(settings);
  if (run === undefined) {
    if (first === undefined)
      throw new UsageError(
        `--architecture: expected a network without batch normalisation, ${settings.architecture} has no ` +
          'statistics before training; give a run',
      );
    return [first];
  }
  const trained = await trainedSubject(run);
  if (initial && first === undefined)
    io.stderr.write(
      'batch normalisation has no statistics before training: its initialisation is left out\n',
    );
  return initial && first ? [first, trained] : [trained];
}

const directionOf = async (name: string): Promise<DirectionChoice> =>
  name === 'random' || name === 'gradient' ? name : (await trainedNetwork(name)).parameters;

async function batchOf(settings: Settings, images: number, flags: LandscapeFlags, io: Io) {
  const dataDir = setting('dataDir', flags.dataDir, '--data-dir') ?? settings.dataDir;
  const dataset = await fetchedDataset(settings.dataset, { dataDir, pool: settings.pool }, io);
  if (images > dataset.train.count)
    throw new UsageError(
      `--batch-size: expected at most ${dataset.train.count} training images, got ${images}`,
    );
  return firstTrainingImages(dataset, images);
}

/** Writes the lines, and the planes beside them: `a.svg` → `a.plane-1.svg`. */
async function draw(found: Landscape, { out, detrend }: LandscapeFlags): Promise<string[]> {
  await writeFigure(out, landscapeFigure(found, detrend));
  const planes = found.subjects.flatMap((subject, s) => {
    const figure = planeFigure(found, subject);
    return figure ? [{ figure, path: out.replace(/\.[^.]+$/, (end) => `.plane-${s + 1}${end}`) }] : [];
  });
  for (const { figure, path } of planes) await writeFigure(path, figure);
  return [out, ...planes.map(({ path }) => path)];
}

/** The measures for people. */
export function landscapeTable({ subjects, network, images, epsilon }: Landscape): string {
  const rows = subjects.flatMap(({ name, line }) =>
    line.curves.map((curve) => [`${name}, ${curve.relaxation}`, String(curve.sigma), ...measureCells(curve)]),
  );
  const head = ['', 'σ', ...MEASURES];
  return [`${network}, ε = ${epsilon}, ${images} images`, '', ...aligned([head, ...rows]), ''].join('\n');
}
