/**
 * Progress of a verification on stderr: one line that is written over on a terminal; elsewhere a line for
 * each stage and every ten seconds.
 */
import type { VerifyProgress } from '../../verification/search/property-climb.js';
import type { Output } from '../command.js';
import { duration } from './training.js';

export interface ShownVerification {
  update(progress: VerifyProgress): void;
  /** Clears the terminal's line. */
  stop(): void;
}

export interface ShownVerificationOptions {
  /** Milliseconds. */
  readonly now?: () => number;
  /** Shortest time between lines of one stage, in milliseconds (default: 10 000; 200 on a terminal). */
  readonly interval?: number;
}

/** Back to the beginning of the line, which is cleared. */
const ERASE = '\r\x1b[K';

/** Starts showing progress on `output`. */
export function verificationProgress(
  output: Output,
  { now = Date.now, interval }: ShownVerificationOptions = {},
): ShownVerification {
  const terminal = output.isTTY === true;
  const pause = interval ?? (terminal ? 200 : 10_000);
  let written: { readonly stage: string; readonly time: number } | undefined;
  return {
    update(progress) {
      const time = now();
      if (progress.stage === written?.stage && time - written.time < pause) return;
      written = { stage: progress.stage, time };
      output.write(
        terminal
          ? `${ERASE}${description(progress).slice(0, (output.columns ?? 80) - 1)}`
          : `${description(progress)}\n`,
      );
    },
    stop() {
      if (terminal && written !== undefined) output.write(ERASE);
    },
  };
}

/** "crown: 1 subproblem, bound −0.31, 2s". */
function description({ stage, subproblems, lowerBound, seconds }: VerifyProgress): string {
  const bound = lowerBound === undefined ? '' : `, bound ${lowerBound.toPrecision(3)}`;
  return `${stage}: ${subproblems} subproblem${subproblems === 1 ? '' : 's'}${bound}, ${duration(seconds)}`;
}
