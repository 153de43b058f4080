/**
 * The evidence as text: a page in Markdown, and CSV with one line for each run. Means are over seeds;
 * differences are paired by seed, with 95 % t-intervals.
 */

import { markdownTable } from '../../formats/markdown.js';
import { csvText } from '../../insight/figure/csv.js';
import { hypervolume } from '../../insight/runs/pareto.js';
import { commandOf, givenSettings } from '../definition.js';
import {
  type Answer,
  type Evidence,
  type Finding,
  findingsOf,
  ofRow,
  type Panel,
  panelsOf,
  trialsOf,
} from './findings.js';
import { type Interval, meanInterval } from './statistics.js';
import { type RowTrial, rowTrials } from './sweeps.js';

const percent = (value: number): string => (100 * value).toFixed(2);
const plusMinus = ({ mean, high, count }: Interval): string =>
  count < 2 ? percent(mean) : `${percent(mean)} ± ${percent(high - mean)}`;
const points = (value: number): string =>
  Number.isFinite(value) ? `${value >= 0 ? '+' : '−'}${Math.abs(100 * value).toFixed(2)}` : '?';
const range = ({ mean, low, high }: Interval): string => `${points(mean)} [${points(low)}, ${points(high)}]`;

function resultsTable(evidence: Evidence, panel: Panel): string {
  const { experiment, tuning } = evidence;
  const [trials, tuned] = [trialsOf(evidence, panel), rowTrials(tuning)];
  const head = [
    'row',
    'seeds',
    'epochs',
    'natural %',
    'certified %',
    'adversarial %',
    'hypervolume',
    'minutes a run',
  ];
  const rows = experiment.rows.map(({ name, tune }) => {
    const own = ofRow(trials, name);
    const mean = (pick: (trial: RowTrial) => number): Interval => meanInterval(own.map(pick));
    const front = ofRow(tuned, name).map(({ result }) => [result.natural, result.certified]);
    const chosen = Object.keys(tune).map((setting) => `${setting} ${own[0]?.point[setting] ?? '–'}`);
    if (own.length === 0) return [name, '0', '–', '–', '–', '–', '–', '–', ''];
    return [
      name,
      String(own.length),
      String(own[0]?.result.epochs),
      plusMinus(mean(({ result }) => result.natural)),
      plusMinus(mean(({ result }) => result.certified)),
      plusMinus(mean(({ result }) => result.adversarial)),
      hypervolume(front, [0, 0]).toFixed(4),
      mean(({ result }) => result.minutes).mean.toFixed(2),
      chosen.join(', '),
    ];
  });
  return markdownTable([[...head, 'tuned'], ...rows]);
}

/** Mean loss of each row's networks under every relaxation. */
function lossTable({ experiment, final }: Evidence): string {
  const trials = rowTrials(final);
  const rows = experiment.rows.map(({ name }) => [
    name,
    ...experiment.losses.map((relaxation) => {
      const losses = ofRow(trials, name).map(({ result }) => result.losses[relaxation] ?? Number.NaN);
      return losses.length === 0 ? '–' : meanInterval(losses).mean.toPrecision(4);
    }),
  ]);
  return markdownTable([['trained with', ...experiment.losses], ...rows]);
}

const findingsTable = (findings: readonly Finding[]): string =>
  markdownTable([
    ['claim', 'equal', 'difference', 'certified, points', 'natural, points', 'seeds', ''],
    ...findings.map(({ claim, equal, better, worse, certified, natural, answer }) => [
      claim,
      equal,
      `${better} − ${worse}`,
      range(certified),
      range(natural),
      String(certified.count),
      answer,
    ]),
  ]);

/** How often each claim was shown, over its comparisons: the first lines of the page. */
function verdictLines(findings: readonly Finding[]): string[] {
  const claims = [...new Set(findings.map(({ claim }) => claim))];
  return claims.map((claim) => {
    const own = findings.filter((finding) => finding.claim === claim);
    const named = (answer: Answer): string => {
      const some = own.filter((finding) => finding.answer === answer);
      const list = some.map(
        ({ better, worse, experiment, equal }) =>
          `${better} over ${worse} in ${experiment}${equal === 'time' ? ' at equal time' : ''}`,
      );
      return `${some.length} ${answer}${list.length > 0 ? ` (${list.join(', ')})` : ''}`;
    };
    const answers = (['shown', 'refuted', 'open'] as const).map(named).join('; ');
    return `- **${claim}**: comparisons ${answers}.`;
  });
}

/** The section of one experiment. */
function sectionsOf(evidence: Evidence, findings: readonly Finding[]): string[] {
  const { experiment } = evidence;
  const { images, trials, tuningSeeds = 1 } = experiment;
  const each = tuningSeeds > 1 ? ` with ${tuningSeeds} seeds each` : '';
  const on = images === undefined ? 'all test images' : `the first ${images} test images`;
  const complete =
    experiment.complete === undefined
      ? 'IBP, CROWN-IBP and CROWN'
      : `IBP, CROWN-IBP, CROWN, and branch and bound with ${experiment.complete} s an image`;
  const inTime = 'In equal time: as many epochs as fit into the training time of the slowest row.';
  return [
    `## ${experiment.name}: ${experiment.title}`,
    `${experiment.settings.epochs ?? 'Published'} epochs; ${trials} tuning trials a row${each} on held-out ` +
      `images; ${on}, certified by ${complete}. Hypervolume: of (natural, certified) of the tuning trials ` +
      'above (0, 0).',
    resultsTable(evidence, 'steps'),
    ...(panelsOf(evidence).includes('time') ? [inTime, resultsTable(evidence, 'time')] : []),
    `Mean loss under each relaxation at the full ε in equal steps, ${experiment.lossImages} test images:`,
    lossTable(evidence),
    'Differences, paired by seed, 95 % t-intervals:',
    findingsTable(findings.filter((finding) => finding.experiment === experiment.name)),
  ];
}

/** The page; its figure is `results.svg` beside it. */
export function reportPage(evidence: readonly Evidence[], command: string): string {
  const commits = new Set(
    evidence.flatMap(({ final }) => rowTrials(final)).map(({ result }) => result.commit),
  );
  const findings = evidence.flatMap(findingsOf);
  const sections = evidence.flatMap((each) => sectionsOf(each, findings));
  return `${[
    '# Reproduction of the claims',
    [`\`${command}\`, computed by ${[...commits].join(', ')}.`, '', ...verdictLines(findings)].join('\n'),
    '![natural against certified accuracy, and certified accuracy against time](results.svg)',
    ...sections,
  ]
    .map((section) => section.trimEnd())
    .join('\n\n')}\n`;
}

/** One line for each run, tuning included. */
export function reportCsv(evidence: readonly Evidence[]): string {
  const losses = [...new Set(evidence.flatMap(({ experiment }) => experiment.losses))];
  const head = [
    'experiment',
    'phase',
    'row',
    'seed',
    'natural',
    'certified',
    'adversarial',
    'images',
    'minutes',
  ];
  const rows = evidence.flatMap(({ experiment, tuning, final, equalTime }) =>
    [
      ['tuning', tuning] as const,
      ['final', final] as const,
      ...(equalTime ? [['equal time', equalTime] as const] : []),
    ].flatMap(([phase, state]) =>
      rowTrials(state).map(({ row, point, result }) => [
        ...[
          experiment.name,
          phase,
          row,
          Number(point.seed),
          result.natural,
          result.certified,
          result.adversarial,
        ],
        ...[result.images, result.minutes.toFixed(3)],
        ...losses.map((name) => result.losses[name]),
        ...[commandOf(givenSettings(state.definition, point)), result.commit, result.digest],
      ]),
    ),
  );
  return csvText([
    [...head, ...losses.map((name) => `loss ${name}`), 'command', 'commit', 'sha256'],
    ...rows,
  ]);
}
