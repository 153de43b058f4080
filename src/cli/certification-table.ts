/** The result of a certification for people: the three accuracies, and what each stage decided in what time. */
import { type CertificationReport, type StageReport, stageNames } from '../verification/verdict.js';
import { aligned } from './aligned.js';

/** Text of several lines; `title` says what was certified. */
export function certificationTable(report: Omit<CertificationReport, 'verdicts'>, title: string): string {
  const { images, epsilon, stages, seconds } = report;
  const accuracies = (['natural', 'certified', 'adversarial'] as const).map((name) => [name, percent(report[name]), `${Math.round(report[name] * images)}`]);
  const rows = stageNames.map((name) => {
    const { images: entered, certified, falsified, seconds: time, skipped } = stages[name];
    return skipped === undefined ? [name, `${entered}`, `${certified}`, `${falsified}`, duration(time)] : [name, 'left out', '', '', ''];
  });
  const count = (pick: (stage: StageReport) => number): number => stageNames.reduce((sum, name) => sum + pick(stages[name]), 0);
  const [certified, falsified] = [count((stage) => stage.certified), count((stage) => stage.falsified)];
  const reasons = stageNames.flatMap((name) => (stages[name].skipped === undefined ? [] : [`${name} left out: ${stages[name].skipped}`]));
  return [
    `${title}, ε = ${epsilon}, ${images} test images`,
    '',
    ...aligned([['accuracy', '', 'images'], ...accuracies]),
    '',
    ...aligned([['stage', 'entered', 'certified', 'falsified', 'time'], ...rows, ['total', `${images}`, `${certified}`, `${falsified}`, duration(seconds)]]),
    '',
    `undecided: ${images - certified - falsified}`,
    ...reasons,
    '',
  ].join('\n');
}

const percent = (accuracy: number): string => `${(100 * accuracy).toFixed(2)} %`;
const duration = (seconds: number): string => `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
