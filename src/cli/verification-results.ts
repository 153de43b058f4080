/** Results of `tautnet verify`: exit code, line on stdout and files, in one form for every ending. */
import { junitReport } from './junit.js';
import { type Ending, wordOf } from './verdict.js';
import type { Outcome, Outcomes } from './watched.js';

const EXIT_CODES: Readonly<Record<Ending, number>> = {
  unsat: 0,
  sat: 1,
  timeout: 3,
  unknown: 4,
  // Could not be done: `sat` has taken the program's usual 1.
  error: 5,
};
/** Exit code of a verification that could not be done. */
export const FAILED = EXIT_CODES.error;

/** Where results go, and in which form. */
export interface ResultPlaces {
  readonly out?: string;
  readonly junit?: string;
  readonly json?: boolean;
}

/** An answer as it is shown. */
export interface Shown {
  readonly verdict: Ending;
  readonly reason?: string;
  /** The verdict's line, and below `sat` the counterexample. */
  readonly text: string;
  /** The object of `--json`. */
  readonly json: object;
}

/** The model and the property, as reports name them. */
export interface Subject {
  readonly network: string;
  readonly property: string;
}

/**
 * The outcome of a verification.
 * @param seconds of wall clock, reading included
 */
export function outcomeOf(
  { verdict, reason, text, json }: Shown,
  subject: Subject,
  seconds: number,
  places: ResultPlaces,
): Outcome {
  const files: Record<string, string> = {};
  if (places.out !== undefined) files[places.out] = text;
  if (places.junit !== undefined)
    files[places.junit] = junitReport(`tautnet verify ${subject.network}`, [
      {
        name: subject.property,
        seconds,
        ...((verdict === 'sat' || verdict === 'error') && { failure: text }),
        ...((verdict === 'timeout' || verdict === 'unknown') && { skipped: reason ?? verdict }),
      },
    ]);
  const stdout = places.json ? `${JSON.stringify(json)}\n` : text;
  return { code: EXIT_CODES[verdict], stdout, files };
}

/**
 * Outcomes of a process that gives no answer within the limit itself.
 * @param standard whether the words are those of the standard's command line
 */
export function outcomesWithoutAnswer(
  subject: Subject,
  limit: number,
  places: ResultPlaces,
  standard: boolean,
): Outcomes {
  const shown = (verdict: Ending, reason: string, rest: object): Shown => {
    const word = wordOf(verdict, standard);
    return { verdict, reason, text: `${word}\n`, json: { verdict: word, ...rest, reason } };
  };
  const late = shown('timeout', 'a call outlasted the limit', { stage: null, seconds: limit });
  const ended = outcomeOf(shown('error', 'the process was ended from outside', {}), subject, limit, places);
  return {
    late: outcomeOf(late, subject, limit, places),
    // Nothing is a verdict that nobody came to.
    ended: { ...ended, ...(!places.json && { stdout: '' }) },
  };
}
