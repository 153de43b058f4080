/**
 * The evidence as text: a page in Markdown, and CSV with one line for each run. Means are over seeds;
 * differences are paired by seed, with 95 % t-intervals.
 */

import { markdownTable } from '../../formats/markdown.js';
import { csvText } from '../../insight/figure/csv.js';
import { hypervolume, paretoFront } from '../../insight/runs/pareto.js';
import { commandOf, givenSettings } from '../definition.js';
import {
  type Answer,
  type Evidence,
  type Finding,
  failedRuns,
  findingsOf,
  ofRow,
  type Panel,
  panelsOf,
  partsOf,
  rankingOf,
  trialsOf,
} from './findings.js';
import { type Interval, meanInterval, median } from './statistics.js';
import { type RowTrial, rowTrials } from './sweeps.js';

const percent = (value: number): string => (100 * value).toFixed(2);
const plusMinus = ({ mean, high, count }: Interval): string =>
  count < 2 ? percent(mean) : `${percent(mean)} ± ${percent(high - mean)}`;
const points = (value: number): string =>
  Number.isFinite(value) ? `${value >= 0 ? '+' : '−'}${Math.abs(100 * value).toFixed(2)}` : '?';
const range = ({ mean, low, high }: Interval): string => `${points(mean)} [${points(low)}, ${points(high)}]`;

/** Rows of which no other row's means are better in both natural and certified accuracy. */
function frontOf(names: readonly string[], trials: readonly RowTrial[]): ReadonlySet<string> {
  const ran = names.filter((name) => ofRow(trials, name).length > 0);
  const means = ran.map((name) =>
    (['natural', 'certified'] as const).map(
      (measure) => meanInterval(ofRow(trials, name).map(({ result }) => result[measure])).mean,
    ),
  );
  return new Set(paretoFront(means).map((i) => ran[i] as string));
}

const HEAD = [
  'row',
  'seeds',
  'epochs',
  'natural %',
  'certified %',
  'adversarial %',
  'minutes, median',
  'tuned',
];

/** Each row's means over seeds; in equal steps also the hypervolume of its tuning, which had equal steps. */
function resultsTable(evidence: Evidence, panel: Panel): string {
  const { experiment, tuning } = evidence;
  const [trials, tuned] = [trialsOf(evidence, panel), rowTrials(tuning)];
  const front = frontOf(
    experiment.rows.map(({ name }) => name),
    trials,
  );
  const rows = experiment.rows.flatMap(({ name, tune }) => {
    const own = ofRow(trials, name);
    if (own.length === 0) return [];
    const mean = (pick: (trial: RowTrial) => number): Interval => meanInterval(own.map(pick));
    const reached = ofRow(tuned, name).map(({ result }) => [result.natural, result.certified]);
    const chosen = Object.keys(tune).map((setting) => `${setting} ${own[0]?.point[setting] ?? '–'}`);
    return [
      [
        front.has(name) ? `${name} *` : name,
        String(own.length),
        String(own[0]?.result.epochs),
        plusMinus(mean(({ result }) => result.natural)),
        plusMinus(mean(({ result }) => result.certified)),
        plusMinus(mean(({ result }) => result.adversarial)),
        median(own.map(({ result }) => result.minutes)).toFixed(2),
        chosen.join(', '),
        ...(panel === 'steps' ? [hypervolume(reached, [0, 0]).toFixed(4)] : []),
      ],
    ];
  });
  return markdownTable([[...HEAD, ...(panel === 'steps' ? ['hypervolume'] : [])], ...rows]);
}

/** Mean loss of each row's networks under every relaxation. */
function lossTable(evidence: Evidence, panel: Panel): string {
  const { rows, losses } = evidence.experiment;
  const trials = trialsOf(evidence, panel);
  const lines = rows.flatMap(({ name }) => {
    const own = ofRow(trials, name);
    if (own.length === 0) return [];
    const mean = (relaxation: string): number =>
      meanInterval(own.map(({ result }) => result.losses[relaxation] ?? Number.NaN)).mean;
    return [[name, ...losses.map((relaxation) => mean(relaxation).toPrecision(4))]];
  });
  return markdownTable([['trained with', ...losses], ...lines]);
}

const findingsTable = (findings: readonly Finding[]): string =>
  markdownTable([
    ['claim', 'difference', 'certified, points', 'natural, points', 'seeds', ''],
    ...findings.map(({ claim, better, worse, certified, natural, answer }) => [
      claim,
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

/** Which row is best, and whether it can be told from the others. */
function rankingLine(evidence: Evidence, panel: Panel): string[] {
  const ranking = rankingOf(evidence, panel);
  if (ranking === undefined) return [];
  const { best, certified, runnerUp, lead, isSeparable, asGood } = ranking;
  const answer = isSeparable ? '' : `, not separable: as good may be ${asGood.join(', ')}`;
  return [
    `Best by mean certified accuracy: **${best}**, ${percent(certified)} %, ${range(lead)} points over ` +
      `${runnerUp} (${lead.count} seeds, chosen after looking)${answer}.`,
  ];
}

/** How a row was tuned, as its sweep says: other versions had other budgets. */
function tuningLine({ experiment: { rows }, tuning }: Evidence): string {
  const tuned = rowTrials(tuning);
  const budgets = rows.map(({ name }) => {
    const own = ofRow(tuned, name).map(({ point }) => point);
    const seeds = new Set(own.map(({ seed }) => seed)).size;
    const points = new Set(own.map(({ seed: _, ...point }) => JSON.stringify(point))).size;
    return `${points} tuning trials a row${seeds > 1 ? ` with ${seeds} seeds each` : ''} on held-out images`;
  });
  return [...new Set(budgets)].join(', or ');
}

/** What the runs of one experiment are. */
function conditions(evidence: Evidence): string {
  const { settings } = evidence.experiment;
  const { images, complete } = evidence.final.definition.judge;
  const on = images === undefined ? 'all test images' : `the first ${images} test images`;
  const by =
    complete === undefined
      ? 'IBP, CROWN-IBP and CROWN'
      : `IBP, CROWN-IBP, CROWN, and branch and bound with ${complete} s an image`;
  return (
    `${settings.epochs ?? 'Published'} epochs; ${tuningLine(evidence)}; ${on}, certified by ${by}. ` +
    '\\*: no other row is better in both natural and certified accuracy. Hypervolume: of (natural, ' +
    'certified) of the tuning trials above (0, 0). Minutes are wall clock, with whatever else ran.'
  );
}

/** One panel of an experiment. */
function panelSection(evidence: Evidence, panel: Panel, findings: readonly Finding[]): string[] {
  const { experiment, slowest } = evidence;
  const own = findings.filter(({ experiment: name, equal }) => name === experiment.name && equal === panel);
  return [
    panel === 'steps' ? '### Equal steps' : '### Equal time',
    ...(panel === 'time'
      ? [`As many epochs as fit into the training time of ${slowest ?? 'the slowest row'}.`]
      : []),
    resultsTable(evidence, panel),
    ...rankingLine(evidence, panel),
    `Mean loss under each relaxation at the full ε, ${experiment.lossImages} test images:`,
    lossTable(evidence, panel),
    ...(own.length > 0
      ? ['Differences, paired by seed, 95 % t-intervals:', findingsTable(own)]
      : ['No comparison of these claims has both its rows.']),
  ];
}

/** The section of one experiment. */
const sectionsOf = (evidence: Evidence, findings: readonly Finding[]): string[] => [
  `## ${evidence.experiment.name}: ${evidence.experiment.title}`,
  conditions(evidence),
  ...panelsOf(evidence).flatMap((panel) => panelSection(evidence, panel, findings)),
  ...failures(evidence),
];

/** What is missing above, and why. */
function failures(evidence: Evidence): string[] {
  const lines = failedRuns(evidence).map(
    ({ phase, row, seed, reason }) => `- ${phase}, ${row}, seed ${seed}: ${reason}`,
  );
  return lines.length === 0 ? [] : ['### Failed runs', lines.join('\n')];
}

/**
 * The page.
 * @param command what computed it
 * @param figure the file of its figure, beside it
 */
export function reportPage(evidence: readonly Evidence[], command: string, figure: string): string {
  const trials = evidence.flatMap(({ tuning, final, equalTime }) =>
    [final, ...(equalTime ? [equalTime] : []), tuning].flatMap(rowTrials),
  );
  const commits = new Set(trials.map(({ result }) => result.commit));
  const findings = evidence.flatMap(findingsOf);
  const claims = [
    ...new Set(evidence.flatMap(({ experiment }) => experiment.comparisons.map(({ claim }) => claim))),
  ];
  const names = evidence.map(({ experiment }) => experiment.name);
  return `${[
    `# Reproduction of ${claims.join(', ')} in ${names.join(', ')}`,
    [`\`${command}\`, computed by ${[...commits].join(', ')}.`, '', ...verdictLines(findings)].join('\n'),
    `![natural against certified accuracy, certified accuracy against time, and tuning](${figure})`,
    `Every run with its command, seed, commit, minutes and digest: \`${figure.replace(/svg$/, 'csv')}\`.`,
    ...evidence.flatMap((each) => sectionsOf(each, findings)),
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
  const rows = evidence.flatMap((each) =>
    partsOf(each).flatMap(([phase, state]) =>
      rowTrials(state).map(({ row, point, result }) => [
        ...[
          each.experiment.name,
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
