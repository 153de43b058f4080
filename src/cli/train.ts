/** `tautnet train`: trains a network as its settings say, or goes on with a run. */
import { Command } from 'commander';
import { UsageError } from '../experiment/errors.js';
import { createRun, openRun, type Run } from '../experiment/run/run-folder.js';
import { changeSettings } from '../experiment/settings/resolve-settings.js';
import { kebab, textFromValue } from '../experiment/settings/setting-text.js';
import { isIdle, SETTING_NAMES, type Settings } from '../experiment/settings/settings.js';
import { trainRun } from '../experiment/train-run.js';
import type { Io, MakeCommand } from './command.js';
import { addSettingOptions, givenSettings, settingsOf } from './options.js';
import { fetchProgress } from './progress/download.js';
import { type Progress, trainingProgress } from './progress/training.js';

export const makeTrainCommand: MakeCommand = (io) =>
  addSettingOptions(new Command('train'))
    .description('train a network whose robustness can be proved')
    .option('--resume <run>', 'go on with the run in this folder, bit for bit')
    .action(async (options: { resume?: string }, command: Command) => {
      const run =
        options.resume === undefined
          ? await startRun(command, io)
          : await resumeRun(options.resume, command, io);
      try {
        await train(run, io);
      } finally {
        await run.release();
      }
    });

async function startRun(command: Command, io: Io): Promise<Run> {
  const settings = await settingsOf(command);
  io.stderr.write(`${settingsText(settings)}\n`);
  return createRun(settings.out, settings);
}

async function resumeRun(path: string, command: Command, io: Io): Promise<Run> {
  const { given, whereabouts } = await givenSettings(command);
  const run = await openRun(path, { onWait: (message: string) => void io.stderr.write(`${message}\n`) });
  try {
    if (run.finished)
      throw new UsageError(
        `--resume: expected an unfinished run, ${path} is finished; certify it with \`tautnet certify ` +
          `${path}\``,
      );
    return { ...run, settings: changeSettings(run.settings, given, whereabouts) };
  } catch (error) {
    await run.release();
    throw error;
  }
}

/** Every setting that has an effect, "name value" separated by commas: what the defaults amounted to. */
function settingsText(settings: Settings): string {
  const shown = SETTING_NAMES.filter((name) => settings[name] !== undefined && !isIdle(name, settings));
  return `settings: ${shown.map((name) => `${kebab(name)} ${textFromValue(settings[name])}`).join(', ')}`;
}

/** Trains a run to its end with progress on stderr, and says where the results are. */
export async function train(run: Run, io: Io): Promise<void> {
  let progress: Progress | undefined;
  const fetched = fetchProgress(io.stderr);
  try {
    await trainRun(
      run,
      {
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
      },
      io.signal,
    );
  } finally {
    fetched.stop();
    progress?.stop();
  }
  io.stderr.write(`${run.path}: trained; prove it with \`tautnet certify ${run.path}\`\n`);
}
