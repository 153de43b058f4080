/**
 * The side of a watched process (`watchdog.ts`): it tells the watchdog by when it will have answered, and
 * what the answer is if it does not, and hears of signals from it alone.
 */
import { EventEmitter } from 'node:events';

/** What is left behind where results are looked for. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  /** Texts by file. */
  readonly files: Readonly<Record<string, string>>;
}

/** Answers of a process that does not come to one itself. */
export interface Outcomes {
  /** The time is over. */
  readonly late: Outcome;
  /** The process was ended from outside, as by a system without memory. */
  readonly ended: Outcome;
}

/** What a watched process sends. */
export type Message =
  | { readonly kind: 'promise'; readonly milliseconds: number; readonly outcomes: Outcomes }
  | { readonly kind: 'answering' }
  | { readonly kind: 'done'; readonly code: number };

/** The watchdog as commands see it. */
export interface Watchdog {
  /** Seconds since the command was called: starting two processes is part of it. */
  secondsSoFar(): number;
  /** Promises an answer within these seconds from the call on. */
  promise(seconds: number, outcomes: Outcomes): void;
  /** The answer is known: writing it may take as long as it takes. */
  answering(): void;
}

/** Time of the command's call, in the environment of a process that is watched: milliseconds since 1970. */
export const WATCHED = 'TAUTNET_WATCHED';
export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface WatchedProcess {
  readonly watchdog: Watchdog;
  /** Emits the signals that the watchdog hands on: a terminal sends its own to both processes. */
  readonly signals: EventEmitter;
  done(code: number): void;
}

/** The connection to the watchdog, undefined without one; `orphaned` is called when the watchdog is gone. */
export function watchedProcess(orphaned: () => void): WatchedProcess | undefined {
  const called = Number(process.env[WATCHED]);
  if (!(called > 0) || process.send === undefined) return undefined;
  delete process.env[WATCHED];
  const tell = (message: Message): void =>
    void process.send?.(message, undefined, undefined, () => undefined);
  const signals = new EventEmitter();
  for (const name of SIGNALS) process.on(name, () => undefined);
  process.on('message', (name: NodeJS.Signals) => signals.emit(name));
  process.on('disconnect', orphaned);
  process.channel?.unref();
  return {
    watchdog: {
      secondsSoFar: () => (Date.now() - called) / 1000,
      promise: (seconds, outcomes) => tell({ kind: 'promise', milliseconds: 1000 * seconds, outcomes }),
      answering: () => tell({ kind: 'answering' }),
    },
    signals,
    done: (code) => tell({ kind: 'done', code }),
  };
}
