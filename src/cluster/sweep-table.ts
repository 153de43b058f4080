/** Results of a sweep as text: CSV for other tools, a page in Markdown for people. */

import { markdownTable } from '../formats/markdown.js';
import { csvText } from '../insight/figure/csv.js';
import { commandOf, givenSettings, pointText } from './definition.js';
import { trialFolder } from './sweep-folder.js';
import { failureOf, failuresOf, isOnFront, type SweepState, type TrialState } from './sweep-state.js';
import type { TrialResult } from './trial.js';

const resultOf = ({ end }: TrialState): TrialResult | undefined =>
  end && 'result' in end ? end.result : undefined;

/** How a trial is called: its label in a list, else its point. */
export const trialName = ({ definition }: SweepState, { trial }: TrialState): string =>
  definition.labels?.[trial.number] ?? (pointText(trial.point) || 'the settings');

/** One line for each trial and rung that ended. */
export function resultsCsv(state: SweepState): string {
  const ended = state.states.filter(({ end }) => end !== undefined);
  const losses = [...new Set(ended.flatMap((each) => Object.keys(resultOf(each)?.losses ?? {})))];
  const head = [
    'trial',
    'rung',
    'name',
    'epochs',
    'natural',
    'certified',
    'adversarial',
    'images',
    'minutes',
  ];
  const rows = ended.map((each) => {
    const result = resultOf(each);
    const { number, rung, point } = each.trial;
    return [
      ...[number, rung, trialName(state, each), result?.epochs, result?.natural, result?.certified],
      ...[result?.adversarial, result?.images, result?.minutes.toFixed(3)],
      ...losses.map((name) => result?.losses[name]),
      ...[commandOf(givenSettings(state.definition, point)), result?.commit, result?.digest, failureOf(each)],
    ];
  });
  return csvText([
    [...head, ...losses.map((name) => `loss ${name}`), 'command', 'commit', 'sha256', 'failure'],
    ...rows,
  ]);
}

const percent = (value: number | undefined): string =>
  value === undefined ? '–' : `${(100 * value).toFixed(2)}`;

/** The page of a finished sweep. */
export function sweepSummary(state: SweepState, path: string): string {
  const failed = failuresOf(state);
  const { on } = state.definition.judge;
  const rows = state.states.map((each) => {
    const result = resultOf(each);
    return [
      `${each.trial.number}${isOnFront(state, each) ? ' *' : ''}`,
      trialName(state, each),
      result === undefined ? '–' : String(result.epochs),
      percent(result?.natural),
      percent(result?.certified),
      percent(result?.adversarial),
      result === undefined ? '–' : result.minutes.toFixed(1),
      `\`${trialFolder(path, each.trial)}\``,
    ];
  });
  const head = ['trial', 'point', 'epochs', 'natural %', 'certified %', 'adversarial %', 'minutes', 'run'];
  return `${[
    '# Sweep',
    `${state.states.length} results by ${state.definition.search.search} search, judged on ` +
      `${on === 'test' ? 'test' : 'held-out training'} images; * on the Pareto front of ` +
      `${Object.keys(state.definition.search.objectives).join(' and ')}.`,
    markdownTable([head, ...rows]).trimEnd(),
    ...(failed.length === 0
      ? []
      : ['## Failures', failed.map((each) => `- trial ${each.trial.number}: ${failureOf(each)}`).join('\n')]),
  ].join('\n\n')}\n`;
}
