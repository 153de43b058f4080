/**
 * `npm run bench:exact [-- --seeds N --rows ROW,… --out FILE]`: claim 2 against bounds that a solver
 * computes. PGPE under five bounds, with and without CROWN's gradient as control variate, beside plain
 * gradients (`disc.mjs` is the task).
 *
 * Learning rates are tuned for each row, with equal budgets, on seeds that are not reported. Every run is a
 * line of the file as soon as it has ended, and lines that stand there are not run again. The tables are
 * printed.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createPool, none, pgpe } from 'tautnet';
import { answerOf } from '../dist/cluster/reproduction/findings.js';
import { meanInterval, pairedInterval } from '../dist/cluster/reproduction/statistics.js';
import { JUDGES, judge, train } from './disc.mjs';

const RATES = [0.01, 0.03, 0.1];
const TUNING = [1000, 1001];
const SMOOTHED = ['ibp', 'crown-ibp', 'crown', 'lp', 'exact'];
const GUIDED = ['crown', 'lp', 'exact'];

const byPairs = (controlVariate) =>
  pgpe({ samples: 8, sigma: 0.1, sigmaDecay: { shape: 'linear', final: 0.2 }, controlVariate });

/** What each row trains with; `guide` has the derivative that its bound has not. */
const ROWS = new Map([
  ...['ibp', 'crown-ibp', 'crown'].map((relaxation) => [relaxation, { relaxation, estimator: none() }]),
  ...SMOOTHED.map((relaxation) => [`${relaxation}-pgpe`, { relaxation, estimator: byPairs('none') }]),
  ...GUIDED.map((relaxation) => [
    `${relaxation}-pgpe-control`,
    {
      relaxation,
      estimator: byPairs('gradient'),
      guide: relaxation === 'crown' ? undefined : 'crown',
    },
  ]),
]);

/** Claim 2 says that the first of each is ahead of the second; the last ones are ours. */
const COMPARISONS = [
  ['crown-ibp-pgpe', 'ibp-pgpe'],
  ['crown-pgpe', 'ibp-pgpe'],
  ['lp-pgpe', 'ibp-pgpe'],
  ['exact-pgpe', 'ibp-pgpe'],
  ['lp-pgpe', 'crown-pgpe'],
  ['exact-pgpe', 'crown-pgpe'],
  ['exact-pgpe', 'lp-pgpe'],
  ...GUIDED.map((bound) => [`${bound}-pgpe-control`, `${bound}-pgpe`]),
];

const COLUMNS = [
  ...['phase', 'row', 'seed', 'rate', 'natural'],
  ...JUDGES.map((name) => `certified ${name}`),
  ...JUDGES.map((name) => `loss ${name}`),
  'seconds',
];

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10' },
    rows: { type: 'string', default: [...ROWS.keys()].join() },
    out: { type: 'string', default: 'docs/results/pgpe-exact.csv' },
  },
});
const seeds = Number(values.seeds);
const names = values.rows.split(',');
const strange = names.find((name) => !ROWS.has(name));
if (strange !== undefined || !(Number.isInteger(seeds) && seeds > 0)) {
  const got = strange === undefined ? `--seeds ${values.seeds}` : `the row "${strange}"`;
  console.error(
    `pgpe-exact: expected a count of seeds and rows of ${[...ROWS.keys()].join(', ')}, got ${got}`,
  );
  process.exit(1);
}

/** The lines of the file, as text by column. */
function readLines() {
  if (!existsSync(values.out)) writeFileSync(values.out, `${COLUMNS.join()}\n`);
  const [, ...lines] = readFileSync(values.out, 'utf8').trimEnd().split('\n');
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, k) => [COLUMNS[k], cell])));
}

const pool = createPool();
const lines = readLines();
const same = (line, wanted) => Object.entries(wanted).every(([column, value]) => line[column] === `${value}`);

/** The line of one run, which is run if there is none. */
async function lineOf(phase, row, seed, rate) {
  const known = lines.find((line) => same(line, { phase, row, seed, rate }));
  if (known !== undefined) return known;
  const start = performance.now();
  const theta = await train({ ...ROWS.get(row), learningRate: rate, seed, pool });
  const seconds = (performance.now() - start) / 1000;
  const { natural, certified, losses } = await judge(theta, seed, pool);
  const cells = [
    ...[phase, row, seed, rate, natural.toFixed(3)],
    ...JUDGES.map((name) => certified[name].toFixed(3)),
    ...JUDGES.map((name) => losses[name].toPrecision(4)),
    seconds.toFixed(1),
  ];
  appendFileSync(values.out, `${cells.join()}\n`);
  const line = Object.fromEntries(cells.map((cell, k) => [COLUMNS[k], `${cell}`]));
  lines.push(line);
  console.error(`${phase}, ${row}, seed ${seed}, rate ${rate}: certified ${line['certified exact']}`);
  return line;
}

/** The rate that certifies most on the seeds for tuning; of equal ones the first. */
async function tunedRate(row) {
  const means = [];
  for (const rate of RATES) {
    let sum = 0;
    for (const seed of TUNING) sum += Number((await lineOf('tuning', row, seed, rate))['certified exact']);
    means.push(sum / TUNING.length);
  }
  return RATES[means.indexOf(Math.max(...means))];
}

const percent = (share) => (100 * share).toFixed(1);
const points = ({ mean, low, high }) => `${percent(mean)} [${percent(low)}, ${percent(high)}]`;
const columnOf = (runs, column) => runs.map((line) => Number(line[column]));

function printRows(finals) {
  const judged = JUDGES.map((name) => `by ${name}`);
  console.log(`| row | rate | natural % | ${judged.join(' | ')} | loss under exact | seconds |`);
  console.log(`| --- ${'| --- '.repeat(judged.length + 4)}|`);
  for (const [row, runs] of finals) {
    const mean = (column) => meanInterval(columnOf(runs, column)).mean;
    const cells = [
      ...[row, runs[0].rate, percent(mean('natural'))],
      ...JUDGES.map((name) => percent(mean(`certified ${name}`))),
      ...[mean('loss exact').toFixed(3), mean('seconds').toFixed(0)],
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

function printDifferences(finals) {
  console.log(
    '\n| difference | certified by exact, points | loss under exact | |\n| --- | --- | --- | --- |',
  );
  for (const [a, b] of COMPARISONS) {
    if (!(finals.has(a) && finals.has(b))) continue;
    const interval = (column) => {
      const [of, from] = [a, b].map((row) => new Map(columnOf(finals.get(row), column).entries()));
      return pairedInterval(of, from);
    };
    const certified = interval('certified exact');
    const loss = interval('loss exact');
    const losses = `${loss.mean.toFixed(2)} [${loss.low.toFixed(2)}, ${loss.high.toFixed(2)}]`;
    console.log(`| ${a} − ${b} | ${points(certified)} | ${losses} | ${answerOf(certified)} |`);
  }
}

try {
  const rates = new Map();
  for (const row of names) rates.set(row, await tunedRate(row));
  const finals = new Map(names.map((row) => [row, []]));
  for (let seed = 0; seed < seeds; seed++)
    for (const row of names) finals.get(row).push(await lineOf('final', row, seed, rates.get(row)));
  printRows(finals);
  printDifferences(finals);
} finally {
  await pool.close();
}
