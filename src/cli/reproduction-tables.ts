/** Tables of `tautnet reproduce`: what runs will cost, and what they say. */
import { ASSUMED, type ExperimentCost, type PartCost } from '../cluster/reproduction/cost.js';
import {
  type Evidence,
  type FailedRun,
  findingsOf,
  panelsOf,
  rankingOf,
} from '../cluster/reproduction/findings.js';
import { aligned } from './aligned.js';
import { duration } from './progress/training.js';

/** What is left to run, and what it will cost. */
export function costTable(costs: readonly ExperimentCost[], parallel: number): string {
  const parts = costs.flatMap(({ experiment, tuning, final }) => [
    { name: `${experiment}, tuning`, ...tuning },
    { name: `${experiment}, all seeds`, ...final },
  ]);
  const rows = parts.map(({ name, trials, kinds, seconds, certifying, isMeasured }) => [
    name,
    String(trials),
    String(kinds.reduce((sum, { steps }) => sum + steps, 0)),
    duration(seconds),
    `${duration(certifying)}${isMeasured ? '' : ', assumed'}`,
  ]);
  const sum = (pick: (part: PartCost) => number): string =>
    duration(parts.reduce((total, part) => total + pick(part), 0));
  const { boundSeconds, openImages } = ASSUMED;
  return `${[
    ...aligned([['part', 'runs left', 'steps', 'training', 'certification'], ...rows]),
    '',
    `about ${sum(({ seconds }) => seconds)} of training and ${sum(({ certifying }) => certifying)} of ` +
      `certification, ${parallel} at a time`,
    ...(parts.some(({ isMeasured }) => !isMeasured)
      ? [
          `assumed: ${1000 * boundSeconds} ms an image, and one image in ${openImages} takes all ` +
            'seconds of branch and bound; finished runs of the folder replace that',
        ]
      : []),
  ].join('\n')}\n`;
}

const points = (value: number): string => (Number.isFinite(value) ? (100 * value).toFixed(2) : '?');

/** The comparisons, and the best row of each setting. */
export function findingsTable(evidence: readonly Evidence[]): string {
  const findings = evidence.flatMap(findingsOf);
  const lines = aligned([
    ['difference of certified accuracy, points', 'mean', 'low', 'high', 'seeds', ''],
    ...findings.map(({ claim, better, worse, certified, answer, experiment, equal }) => [
      `${claim}, ${experiment}, equal ${equal}: ${better} − ${worse}`,
      ...[certified.mean, certified.low, certified.high].map(points),
      String(certified.count),
      answer,
    ]),
  ]);
  return `${[...lines, '', ...evidence.flatMap(bestLines)].join('\n')}\n`;
}

const bestLines = (evidence: Evidence): string[] =>
  panelsOf(evidence).flatMap((panel) => {
    const ranking = rankingOf(evidence, panel);
    if (ranking === undefined) return [];
    const { best, certified, isSeparable, asGood } = ranking;
    const where = `best in ${evidence.experiment.name}, equal ${panel}`;
    const answer = isSeparable ? '' : `, not separable from ${asGood.join(', ')}`;
    return [`${where}: ${best}, ${points(certified)} % certified${answer}`];
  });

/** That runs failed, the first with its reason, and what to do. */
export function failureNotice(failed: readonly FailedRun[]): string {
  const [{ experiment, phase, row, seed, reason }] = failed as [FailedRun];
  return (
    `${failed.length} failed, first ${experiment}, ${phase}, ${row}, seed ${seed}: ${reason}; once the ` +
    'reason is gone, the same command with --retry-failed tries again\n'
  );
}
