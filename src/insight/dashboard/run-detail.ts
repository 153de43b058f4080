/** One run in full: its figures as data, its settings, and what to type next. */
import { quoted, titleOf } from '../../experiment/run/summary.js';
import { kebab, textFromValue } from '../../experiment/settings/setting-text.js';
import { settingsInUse } from '../../experiment/settings/settings.js';
import { methodTitle } from '../../experiment/training-method.js';
import type { Figure } from '../figure/figure.js';
import { classFigure, courseFigure, neuronFigure, scheduleFigure } from '../report/report-figures.js';
import { compareRuns, comparisonFigure } from '../runs/comparison.js';
import { readResults } from '../runs/run-results.js';
import type { CompareAnswer, RunDetail } from './answers.js';
import type { Entry } from './run-entry.js';

/** @throws UsageError, Failure, FileError, FormatError: one line for what cannot be read */
export async function runDetail(path: string, entry: Entry): Promise<RunDetail> {
  const run = await readResults(path);
  const { settings, version, verdicts, metrics } = run;
  const { epsilon, seed } = settings;
  const course = courseFigure(metrics);
  const neurons = neuronFigure(metrics, epsilon);
  const train = `tautnet train --config ${quoted(run.paths.config)} --out <folder>`;
  const figures: Figure[] = [
    ...(course ? [course] : []),
    scheduleFigure(settings, run.finished ? settings.epochs : entry.epoch),
    ...(neurons ? [neurons] : []),
    ...(verdicts ? [classFigure(verdicts)] : []),
  ];
  return {
    name: run.name,
    state: entry.state,
    title: titleOf(settings),
    subtitle: `${methodTitle(settings)}; seed ${seed}, tautnet ${version}`,
    commands: run.finished
      ? [`tautnet certify ${quoted(path)}`, `tautnet report ${quoted(path)}`, train]
      : [`tautnet train --resume ${quoted(path)}`, train],
    notes: verdicts
      ? []
      : [
          metrics.length === 0
            ? 'No epoch has ended yet.'
            : 'Not certified yet: accuracies are those of the last epoch of training.',
        ],
    accuracies: entry.accuracies,
    images: entry.images,
    epoch: entry.epoch,
    epochs: settings.epochs,
    epsilon,
    figures,
    settings: settingsInUse(settings).map((name) => [kebab(name), textFromValue(settings[name])] as const),
  };
}

/** Runs side by side, with the figure of their Pareto front. @throws as runDetail */
export async function compareAnswer(paths: readonly string[]): Promise<CompareAnswer> {
  const results = await Promise.all(paths.map(readResults));
  const comparison = compareRuns(results);
  const named = {
    ...comparison,
    runs: comparison.runs.map((run) => ({
      ...run,
      run: results.find(({ path }) => path === run.run)?.name ?? '',
    })),
  };
  return { ...named, figure: comparisonFigure(named) };
}
