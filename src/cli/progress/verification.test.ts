import { expect, test } from 'vitest';
import { recordedOutput } from '../../testing/io.js';
import type { VerifyProgress } from '../../verification/search/property-climb.js';
import { verificationProgress } from './verification.js';

const states: readonly VerifyProgress[] = [
  { stage: 'attack', subproblems: 0, seconds: 0.1 },
  { stage: 'crown', subproblems: 1, lowerBound: -0.31234, seconds: 1 },
  { stage: 'branch-and-bound', subproblems: 120, lowerBound: -0.2, seconds: 2 },
  { stage: 'branch-and-bound', subproblems: 240, lowerBound: -0.1, seconds: 3 },
  { stage: 'branch-and-bound', subproblems: 480, lowerBound: -0.05, seconds: 14 },
];

/** What is written for the states, each shown at its own time. */
function written(terminal: { isTTY?: boolean; columns?: number }): string {
  const { output, text } = recordedOutput(terminal);
  let time = 0;
  const progress = verificationProgress(output, { now: () => time });
  for (const state of states) {
    time = state.seconds * 1000;
    progress.update(state);
  }
  progress.stop();
  return text();
}

test('a log gets one line for each stage, and within a long one every ten seconds', () => {
  expect(written({})).toBe(
    'attack: 0 subproblems, 0s\ncrown: 1 subproblem, bound -0.312, 1s\nbranch-and-bound: 120 subproblems, bound -0.200, 2s\nbranch-and-bound: 480 subproblems, bound -0.0500, 14s\n',
  );
});

test('a terminal gets one line that is written over, never longer than it is wide, and clean in the end', () => {
  const lines = written({ isTTY: true, columns: 30 }).split('\r\x1b[K');
  expect(lines).toEqual([
    '',
    'attack: 0 subproblems, 0s',
    'crown: 1 subproblem, bound -0',
    'branch-and-bound: 120 subprob',
    'branch-and-bound: 240 subprob',
    'branch-and-bound: 480 subprob',
    '',
  ]);
});
