/** A sweep under way in words: one line about all of it, one about a trial, and a table of what runs. */
import { percent } from '../experiment/percent.js';
import { failuresOf, isOnFront, type SweepState, type TrialState } from './sweep-state.js';
import { trialName } from './sweep-table.js';

/** Rows of the table; more would not stay on a screen. */
const ROWS = 16;

/** "7 of 20 trials done, 1 failed, 2 running, on the front: 3, 5". */
export function sweepLine(state: SweepState): string {
  const { states, trials, front } = state;
  const count = (holds: (state: TrialState) => boolean): number => states.filter(holds).length;
  const failed = failuresOf(state).length;
  const done = new Set(states.filter(({ end }) => end !== undefined).map(({ trial }) => trial.number)).size;
  return [
    `${done} of ${trials} trials done`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    `${count(({ end }) => end === undefined)} running`,
    ...(front.length > 0 ? [`on the front: ${front.map(({ number }) => number).join(', ')}`] : []),
  ].join(', ');
}

/** "trial 3 (sigma 0.01): natural 97.20 %, certified 91.00 % after 5 epochs, 0.4 minutes". */
export function trialLine(state: SweepState, each: TrialState): string {
  const { trial, end, progress } = each;
  const name = `trial ${trial.number} (${trialName(state, each)})`;
  if (end === undefined) return `${name}: ${progressText(progress)}`;
  if ('failed' in end) return `${name}: failed twice: ${end.failed}`;
  const { natural, certified, epochs, minutes } = end.result;
  return (
    `${name}: natural ${percent(natural)}, certified ${percent(certified)} after ${epochs} ` +
    `epochs, ${minutes.toFixed(1)} minutes`
  );
}

function progressText(progress: TrialState['progress']): string {
  if (progress === undefined) return 'starting';
  if (progress.stage === 'judging') return 'judging';
  const loss = progress.loss === undefined ? '' : `, loss ${progress.loss.toPrecision(3)}`;
  return `epoch ${progress.epoch.toFixed(1)}/${progress.epochs}${loss}`;
}

/** What runs, and above it the latest and best of what is done. */
export function trialTable(state: SweepState): string[] {
  const running = state.states.filter(({ end }) => end === undefined);
  const ended = state.states.filter(({ end }) => end !== undefined);
  const isFront = (each: TrialState): boolean => isOnFront(state, each);
  const room = Math.max(0, ROWS - running.length);
  const shown = [...ended.filter((each) => !isFront(each)), ...ended.filter(isFront)].slice(-room);
  const marked = (each: TrialState): string => (isFront(each) ? '* ' : '  ');
  return [...shown, ...running].map((each) => `${marked(each)}${trialLine(state, each)}`);
}
