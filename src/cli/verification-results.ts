/** Results of `tautnet verify`: exit code, line on stdout and files, in one form for every ending. */
import { encodeCounterexample } from '../formats/counterexample.js';
import type { Verification } from '../verification/search/verify.js';
import { junitReport } from './junit.js';
import type { Outcome, Outcomes } from './watched.js';

const EXIT_CODES: Readonly<Record<Verification['verdict'] | 'error', number>> = {
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

/** What is told of a verification, of one without an answer as well. */
export interface Told extends Omit<Partial<Verification>, 'verdict'> {
  readonly verdict: Verification['verdict'] | 'error';
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
export function outcomeOf(told: Told, subject: Subject, seconds: number, places: ResultPlaces): Outcome {
  const { verdict, reason } = told;
  const text = resultText(told);
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
  const stdout = places.json ? `${JSON.stringify(jsonOf(told))}\n` : text;
  return { code: EXIT_CODES[verdict], stdout, files };
}

/** Outcomes of a process that gives no answer within the limit itself. */
export function outcomesWithoutAnswer(subject: Subject, limit: number, places: ResultPlaces): Outcomes {
  const seconds = limit;
  const late: Told = { verdict: 'timeout', stage: null, seconds, reason: 'a call outlasted the limit' };
  const ended: Told = { verdict: 'error', reason: 'the process was ended from outside' };
  return {
    late: outcomeOf(late, subject, seconds, places),
    // Nothing is a verdict that nobody came to.
    ended: { ...outcomeOf(ended, subject, seconds, places), ...(!places.json && { stdout: '' }) },
  };
}

/** The competition's form: the verdict, and below `sat` the counterexample. */
const resultText = ({ verdict, counterexample }: Told): string =>
  counterexample === undefined
    ? `${verdict}\n`
    : `${verdict}\n${encodeCounterexample({ inputs: counterexample.input, outputs: counterexample.output })}`;

/** A verification with plain arrays. */
const jsonOf = ({ counterexample, ...rest }: Told) => ({
  ...rest,
  ...(counterexample && {
    counterexample: {
      input: Array.from(counterexample.input),
      output: Array.from(counterexample.output),
      polytope: counterexample.polytope,
    },
  }),
});
