/**
 * The result of a certification for people: the three accuracies, and what each stage decided in what time.
 */
import { percent } from '../experiment/percent.js';
import {
  type CertificationReport,
  type StageReport,
  stageNames,
} from '../verification/certification/verdict.js';
import { aligned } from './aligned.js';

/** Text of several lines; `title` says what was certified. */
export function certificationTable(report: Omit<CertificationReport, 'verdicts'>, title: string): string {
  const { images, epsilon, sound, stages, seconds } = report;
  const accuracies = (['natural', 'certified', 'adversarial'] as const).map((name) => [
    name,
    percent(report[name]),
    `${Math.round(report[name] * images)}`,
  ]);
  const made = stageNames.flatMap((name): (readonly [name: string, stage: StageReport])[] => {
    const stage = stages[name];
    return stage === undefined ? [] : [[name, stage]];
  });
  const rows = made.map(([name, { images: entered, certified, falsified, seconds: time, skipped }]) => {
    return skipped === undefined
      ? [name, `${entered}`, `${certified}`, `${falsified}`, duration(time)]
      : [name, 'left out', '', '', ''];
  });
  const count = (pick: (stage: StageReport) => number): number =>
    made.reduce((sum, [, stage]) => sum + pick(stage), 0);
  const [certified, falsified] = [count((stage) => stage.certified), count((stage) => stage.falsified)];
  const reasons = made.flatMap(([name, { skipped }]) =>
    skipped === undefined ? [] : [`${name} left out: ${skipped}`],
  );
  return [
    `${title}, ε = ${epsilon}, ${images} test images${sound ? ', sound proofs' : ''}`,
    '',
    ...aligned([['accuracy', '', 'images'], ...accuracies]),
    '',
    ...aligned([
      ['stage', 'entered', 'certified', 'falsified', 'time'],
      ...rows,
      ['total', `${images}`, `${certified}`, `${falsified}`, duration(seconds)],
    ]),
    '',
    `undecided: ${images - certified - falsified}`,
    ...reasons,
    '',
  ].join('\n');
}

const duration = (seconds: number): string => `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
