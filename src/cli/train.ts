/** `tautnet train`: trains a network as its settings say, or goes on with a run. */
import { Command } from 'commander';
import type { Address } from '../cluster/broker/address.js';
import { checkSpreads, trainByWorkers } from '../cluster/lead.js';
import { UsageError } from '../experiment/errors.js';
import { readMetrics } from '../experiment/run/metrics.js';
import { createRun, freeFolder, openRun, type Run } from '../experiment/run/run-folder.js';
import { DEFAULTS } from '../experiment/settings/defaults.js';
import { changeSettings, resolveSettings } from '../experiment/settings/resolve-settings.js';
import { kebab, textFromValue } from '../experiment/settings/setting-text.js';
import { isIdle, SETTING_NAMES, type SettingName, type Settings } from '../experiment/settings/settings.js';
import { type TrainingWatch, trainRun } from '../experiment/train-run.js';
import { type Io, type MakeCommand, written } from './command.js';
import { addSettingOptions, advanced, givenSettings } from './options.js';
import { fetchProgress } from './progress/download.js';
import { type Progress, trainingProgress } from './progress/training.js';
import { addressOf, type QueueFlag, queueOption } from './queue-option.js';

export const makeTrainCommand: MakeCommand = (io) =>
  addSettingOptions(new Command('train'))
    .description('train a network whose robustness can be proved')
    .option('--resume <path>', 'go on with the run in this folder, bit for bit')
    .addOption(advanced(queueOption('perturbations are evaluated by the workers of a queue, too')))
    .addHelpText('after', '\n`tautnet train --help-all` lists every setting.')
    .action(async (options: { resume?: string; json?: boolean; queue?: QueueFlag }, command: Command) => {
      const address = addressOf(options.queue, io);
      const run =
        options.resume === undefined
          ? await startRun(command, io, address)
          : await resumeRun(options.resume, command, io, address);
      try {
        await train(run, io, address);
        await written(io.stdout, options.json ? `${JSON.stringify(await resultOf(run))}\n` : `${run.path}\n`);
      } finally {
        await run.release();
      }
    });

async function startRun(command: Command, io: Io, address?: Address): Promise<Run> {
  const { given, whereabouts } = await givenSettings(command);
  const resolved = resolveSettings(given, whereabouts);
  const settings = given.out === undefined ? { ...resolved, out: freeFolder(resolved.out) } : resolved;
  if (address !== undefined) checkSpreads(settings);
  io.stderr.write(`${settingsText(settings)}\n`);
  return createRun(settings.out, settings);
}

async function resumeRun(path: string, command: Command, io: Io, address?: Address): Promise<Run> {
  const { given, whereabouts } = await givenSettings(command);
  const run = await openRun(path, { onWait: (message: string) => void io.stderr.write(`${message}\n`) });
  try {
    if (run.finished)
      throw new UsageError(
        `--resume: expected an unfinished run, ${path} is finished; certify it with \`tautnet certify ` +
          `${path}\``,
      );
    const settings = changeSettings(run.settings, given, whereabouts);
    if (address !== undefined) checkSpreads(settings);
    return { ...run, settings };
  } catch (error) {
    await run.release();
    throw error;
  }
}

/** Settings that are told also where they have their defaults. */
const TOLD: readonly SettingName[] = [
  'dataset',
  'architecture',
  'method',
  'relaxation',
  'epsilon',
  'smoothing',
  'epochs',
  'seed',
  'out',
];

/** What the run is, and what differs from the defaults, "name value" separated by commas. */
function settingsText(settings: Settings): string {
  const differs = (name: SettingName): boolean => {
    const initial = DEFAULTS[name];
    const value: unknown = 'value' in initial ? initial.value : initial.from(settings);
    return settings[name] !== undefined && textFromValue(value) !== textFromValue(settings[name]);
  };
  const shown = SETTING_NAMES.filter(
    (name) => !isIdle(name, settings) && (TOLD.includes(name) || differs(name)),
  );
  const texts = shown.map((name) => `${kebab(name)} ${textFromValue(settings[name])}`);
  return `settings: ${texts.join(', ')}; the rest: defaults`;
}

/** The result as one object: where it is, what it was trained for, and the last epoch's metrics. */
async function resultOf({ path, paths, settings }: Run) {
  const { dataset, architecture, method, relaxation, epsilon, smoothing, epochs, seed } = settings;
  const about = { dataset, architecture, method, relaxation, epsilon, smoothing, epochs, seed };
  const metrics = (await readMetrics(paths.metrics)).at(-1);
  return { run: path, network: paths.network, ...about, metrics };
}

/** Trains a run to its end with progress on stderr, and says what to do with it. */
export async function train(run: Run, io: Io, address?: Address): Promise<void> {
  let progress: Progress | undefined;
  const fetched = fetchProgress(io.stderr);
  try {
    const watch: TrainingWatch = {
      data: (state) => fetched.update(state),
      begin({ parameters, images, epoch, device, warnings }) {
        fetched.stop();
        for (const warning of warnings) io.stderr.write(`${warning}\n`);
        io.stderr.write(
          `${parameters} parameters, ${images} training ` +
            `images${epoch > 0 ? `, going on after epoch ${epoch.toFixed(2)}` : ''}` +
            `${device === 'cpu' ? '' : `, on ${device}`}\n`,
        );
        progress = trainingProgress(io.stderr, { epochs: run.settings.epochs, startEpoch: epoch });
      },
      step({ epoch, loss, metrics, samplesPerSecond }) {
        const {
          natural: naturalAccuracy,
          certified: certifiedAccuracy,
          adversarial: adversarialAccuracy,
        } = metrics;
        progress?.update({
          epoch,
          loss,
          naturalAccuracy,
          certifiedAccuracy,
          adversarialAccuracy,
          samplesPerSecond,
        });
      },
    };
    if (address === undefined) await trainRun(run, watch, io.signal);
    else
      await trainByWorkers(
        run,
        address,
        { ...watch, notice: (line) => void io.stderr.write(`${line}\n`) },
        io.signal,
      );
  } finally {
    fetched.stop();
    progress?.stop();
  }
  io.stderr.write(`trained; prove it with \`tautnet certify ${run.path}\`\n`);
}
