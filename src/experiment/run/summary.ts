/** One page about a run, in Markdown: what was trained, how it went, what to do with it. */

import { markdownTable } from '../../formats/markdown.js';
import type { Accuracies, CertificationReport } from '../../verification/certification/verdict.js';
import { percent } from '../percent.js';
import { imagesOf } from '../settings/images.js';
import { kebab, textFromValue } from '../settings/setting-text.js';
import { type Settings, settingsInUse } from '../settings/settings.js';
import { methodTitle } from '../training-method.js';
import type { MetricsRecord } from './metrics.js';
import type { RunRecord } from './run-folder.js';

/** What a certification found; accuracies in [0, 1], always reported together. */
export type CertifiedResults = Pick<CertificationReport, 'images' | 'epsilon' | 'seconds' | keyof Accuracies>;

/** Columns of the table of epochs, for those of them that the metrics have. */
const COLUMNS: readonly { readonly key: string; readonly title: string; readonly percent?: true }[] = [
  { key: 'epoch', title: 'epoch' },
  { key: 'epsilon', title: 'ε' },
  { key: 'loss', title: 'loss' },
  { key: 'naturalAccuracy', title: 'natural', percent: true },
  { key: 'certifiedAccuracy', title: 'certified', percent: true },
  { key: 'adversarialAccuracy', title: 'adversarial', percent: true },
  { key: 'validationNaturalAccuracy', title: 'natural (validation)', percent: true },
  { key: 'validationCertifiedAccuracy', title: 'certified (validation)', percent: true },
  { key: 'validationAdversarialAccuracy', title: 'adversarial (validation)', percent: true },
  { key: 'sigma', title: 'σ' },
  { key: 'learningRate', title: 'step size' },
  { key: 'samplesPerSecond', title: 'images/s' },
];

/** Rows of the table: enough to see the course, few enough for a page. */
const ROWS = 12;

/** "cnn3 on mnist, ε = 0.1". */
export const titleOf = (settings: Pick<Settings, 'architecture' | 'dataset' | 'pool' | 'epsilon'>): string =>
  `${settings.architecture} on ${imagesOf(settings).name}, ε = ${settings.epsilon}`;

/** The text of `summary.md`. `metrics` are those of `metrics.jsonl`, in order. */
export function summarize(
  run: Pick<RunRecord, 'path' | 'settings' | 'version'>,
  metrics: readonly MetricsRecord[],
  results?: CertifiedResults,
): string {
  const { settings, path } = run;
  const method = methodTitle(settings);
  const smoothing =
    settings.smoothing === 'none'
      ? ''
      : `, ${settings.smoothing} smoothing (σ = ${settings.sigma}, ${settings.samples} samples)`;
  const sections = [
    `# ${titleOf(settings)}`,
    `${capitalized(method)}${smoothing}; seed ${settings.seed}, tautnet ${run.version}.`,
    ...finalSection(path, metrics, results),
    ...courseSection(metrics),
    '## Next',
    [
      '```',
      `tautnet certify ${quoted(path)}                 # prove robustness, image by image`,
      `tautnet train --config ${quoted(`${path}/config.yaml`)} --out <folder>   # repeat it`,
      `tautnet train --resume ${quoted(path)}          # go on, if it is unfinished`,
      '```',
    ].join('\n'),
    '## Settings',
    markdownTable([
      ['setting', 'value'],
      ...settingsInUse(settings).map((name) => [kebab(name), textFromValue(settings[name])]),
    ]).trimEnd(),
  ];
  return `${sections.join('\n\n')}\n`;
}

function finalSection(
  path: string,
  metrics: readonly MetricsRecord[],
  results: CertifiedResults | undefined,
): string[] {
  const training = metrics.at(-1)?.seconds;
  const times = [
    ...(typeof training === 'number' ? [`Training took ${inMinutes(training)}.`] : []),
    ...(results ? [`Certification took ${inMinutes(results.seconds)}.`] : []),
  ];
  const time = times.length > 0 ? [times.join(' ')] : [];
  if (results === undefined)
    return [
      '## Result',
      `Not certified yet: \`tautnet certify ${quoted(path)}\` proves its accuracies on the test images.`,
      ...time,
    ];
  const accuracies = (['natural', 'certified', 'adversarial'] as const).map((name) => [
    name,
    percent(results[name]),
  ]);
  return [
    `## Result on ${results.images} test images, ε = ${results.epsilon}`,
    markdownTable([['accuracy', 'value'], ...accuracies]).trimEnd(),
    ...time,
  ];
}

function courseSection(metrics: readonly MetricsRecord[]): string[] {
  const rows = sampled(lastOfEachEpoch(metrics), ROWS);
  if (rows.length === 0) return [];
  const columns = COLUMNS.filter(({ key }) => rows.some((row) => typeof row[key] === 'number'));
  const cell = (value: MetricsRecord[string], isPercent: boolean): string =>
    typeof value !== 'number' ? '–' : isPercent ? percent(value) : short(value);
  return [
    '## Course',
    markdownTable([
      columns.map(({ title }) => title),
      ...rows.map((row) => columns.map(({ key, percent: isPercent }) => cell(row[key], isPercent === true))),
    ]).trimEnd(),
  ];
}

/**
 * What is known at the end of each epoch: later records of an epoch complete and override earlier ones. Epoch
 * n ends at `epoch` = n.
 */
function lastOfEachEpoch(metrics: readonly MetricsRecord[]): MetricsRecord[] {
  const epochs = new Map<number, MetricsRecord>();
  for (const record of metrics) {
    const epoch = Math.ceil(record.epoch);
    epochs.set(epoch, { ...epochs.get(epoch), ...record });
  }
  return [...epochs.values()];
}

/** At most `count` items, evenly spread, the first and the last among them. */
function sampled<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from(
    { length: count },
    (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))] as T,
  );
}

const inMinutes = (seconds: number): string =>
  seconds < 90 ? `${seconds.toFixed(0)} seconds` : `${(seconds / 60).toFixed(1)} minutes`;
const short = (value: number): string =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
/** For a POSIX shell. */
export const quoted = (text: string): string =>
  /^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
