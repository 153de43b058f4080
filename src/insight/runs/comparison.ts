/**
 * Runs side by side: the settings that differ, the three accuracies, and which runs no other run beats in
 * both natural and certified accuracy.
 */
import { percent } from '../../experiment/percent.js';
import { kebab, textFromValue } from '../../experiment/settings/setting-text.js';
import { EXPERIMENT_SETTINGS, isIdle, type SettingName } from '../../experiment/settings/settings.js';
import { csvText } from '../figure/csv.js';
import type { Dots, Figure } from '../figure/figure.js';
import { paretoFront } from './pareto.js';
import type { RunResults } from './run-results.js';

export interface ComparedRun {
  readonly run: string;
  /** Values of the settings that differ, by their names in files; the seed among them. */
  readonly settings: Readonly<Record<string, string>>;
  /** In [0, 1]; null before certification. */
  readonly natural: number | null;
  readonly certified: number | null;
  readonly adversarial: number | null;
  /** Test images that were certified. */
  readonly images: number;
  readonly trainingSeconds: number | null;
  /** Mean loss of test images under relaxations that were asked for, by their names. */
  readonly losses: Readonly<Record<string, number>>;
  readonly finished: boolean;
  /** No other run is at least as good in both natural and certified accuracy and better in one. */
  readonly onFront: boolean;
}

export interface Comparison {
  /** Names of the settings that differ. */
  readonly differing: readonly string[];
  /** Names of the relaxations whose losses were computed. */
  readonly losses: readonly string[];
  /** Best certified accuracy first; runs without one last. */
  readonly runs: readonly ComparedRun[];
}

/** A result that somebody published. */
export interface PublishedPoint {
  readonly label: string;
  readonly natural: number;
  readonly certified: number;
}

const textOf = (name: SettingName, { settings }: Pick<RunResults, 'settings'>): string =>
  isIdle(name, settings) || settings[name] === undefined ? '' : textFromValue(settings[name]);

/** Texts of some settings of a run, by their names in files; '' for what its other settings leave unused. */
export const settingTexts = (
  run: Pick<RunResults, 'settings'>,
  names: readonly SettingName[] = EXPERIMENT_SETTINGS,
): Record<string, string> => Object.fromEntries(names.map((name) => [kebab(name), textOf(name, run)]));

interface Point {
  readonly natural: number | null;
  readonly certified: number | null;
}

/** Whether each point is on the Pareto front of natural and certified accuracy. */
export function onParetoFront(points: readonly Point[]): boolean[] {
  const known = points.flatMap(({ natural, certified }, i) =>
    natural === null || certified === null ? [] : [{ i, point: [natural, certified] }],
  );
  const front = new Set(paretoFront(known.map(({ point }) => point)).map((k) => known[k]?.i));
  return points.map((_, i) => front.has(i));
}

/** Losses of each run under relaxations, by its path. */
export type LossesOfRuns = Readonly<Record<string, Readonly<Record<string, number>>>>;

/**
 * @param results at least one run
 * @param losses of these runs under relaxations, all under the same; none unless given
 */
export function compareRuns(results: readonly RunResults[], losses: LossesOfRuns = {}): Comparison {
  const differing = EXPERIMENT_SETTINGS.filter(
    (name) => new Set(results.map((run) => textOf(name, run))).size > 1,
  );
  const front = onParetoFront(
    results.map(({ accuracies }) => ({
      natural: accuracies?.natural ?? null,
      certified: accuracies?.certified ?? null,
    })),
  );
  const runs = results.map((run, i): ComparedRun => {
    const { accuracies, verdicts, trainingSeconds, finished, path } = run;
    return {
      run: path,
      settings: settingTexts(run, differing),
      natural: accuracies?.natural ?? null,
      certified: accuracies?.certified ?? null,
      adversarial: accuracies?.adversarial ?? null,
      images: verdicts?.length ?? 0,
      trainingSeconds: trainingSeconds ?? null,
      losses: losses[path] ?? {},
      finished,
      onFront: front[i] as boolean,
    };
  });
  const order = (a: ComparedRun, b: ComparedRun) =>
    (b.certified ?? -1) - (a.certified ?? -1) || (b.natural ?? -1) - (a.natural ?? -1);
  const measured = Object.keys(Object.values(losses)[0] ?? {});
  return { differing: differing.map(kebab), losses: measured, runs: runs.toSorted(order) };
}

const lossColumn = (relaxation: string): string => `loss ${relaxation}`;

/** The header and a row for each run, as text. */
export function comparisonRows({ differing, losses, runs }: Comparison): string[][] {
  const accuracy = (value: number | null): string => (value === null ? '–' : percent(value));
  const seconds = (value: number | null): string => (value === null ? '–' : `${Math.round(value)} s`);
  return [
    [
      'run',
      ...differing,
      'natural',
      'certified',
      'adversarial',
      'images',
      'training',
      ...losses.map(lossColumn),
      'front',
    ],
    ...runs.map((run) => [
      run.run,
      ...differing.map((name) => run.settings[name] || '–'),
      ...[run.natural, run.certified, run.adversarial].map(accuracy),
      run.images === 0 ? '–' : String(run.images),
      seconds(run.trainingSeconds),
      ...losses.map((name) => run.losses[name]?.toPrecision(4) ?? '–'),
      run.onFront ? '*' : '',
    ]),
  ];
}

/** The comparison with accuracies as numbers in [0, 1]. */
export function comparisonCsv({ differing, losses, runs }: Comparison): string {
  const accuracies = ['natural', 'certified', 'adversarial', 'images', 'trainingSeconds'];
  const head = ['run', ...differing, ...accuracies, ...losses.map(lossColumn)];
  return csvText([
    head,
    ...runs.map((run) => [
      run.run,
      ...differing.map((name) => run.settings[name]),
      ...[run.natural, run.certified, run.adversarial, run.images, run.trainingSeconds],
      ...losses.map((name) => run.losses[name]),
    ]),
  ]);
}

/** "relaxation crown, smoothing rgs": runs that differ in nothing but their seed share it. */
function groupOf({ settings }: ComparedRun): string {
  const parts = Object.entries(settings).filter(([name, value]) => name !== 'seed' && value !== '');
  return parts.map(([name, value]) => `${name} ${value}`).join(', ') || 'runs';
}

/**
 * Natural against certified accuracy: a cloud of seeds for each group of settings, the front dashed,
 * published points hollow. Undefined where no run is certified.
 */
export function comparisonFigure(
  { runs }: Comparison,
  published: readonly PublishedPoint[] = [],
): Figure | undefined {
  const certified = runs.filter(({ natural }) => natural !== null);
  if (certified.length === 0) return undefined;
  const natural = (of: readonly ComparedRun[]) => of.map((run) => run.natural as number);
  const proved = (of: readonly ComparedRun[]) => of.map((run) => run.certified as number);
  const clouds = [...new Set(certified.map(groupOf))].map((series): Dots => {
    const of = certified.filter((run) => groupOf(run) === series);
    return { kind: 'dots', series, x: natural(of), y: proved(of) };
  });
  const front = certified.filter(({ onFront }) => onFront);
  const sorted = front.toSorted((a, b) => (a.natural as number) - (b.natural as number));
  const known: Dots = {
    kind: 'dots',
    series: 'published',
    hollow: true,
    x: published.map((point) => point.natural),
    y: published.map((point) => point.certified),
    labels: published.map(({ label }) => label),
  };
  return {
    title: 'Natural against certified accuracy',
    columns: 1,
    panelSize: [620, 420],
    panels: [
      {
        title: `${certified.length} runs`,
        x: { label: 'natural accuracy (%)', percent: true },
        y: { label: 'certified accuracy (%)', percent: true },
        marks: [
          { kind: 'line', series: 'Pareto front', dashed: true, x: natural(sorted), y: proved(sorted) },
          ...clouds,
          ...(published.length > 0 ? [known] : []),
        ],
      },
    ],
    caption: 'Dots are runs, one colour for each choice of settings; up and to the right is better.',
  };
}
