/**
 * Ctrl-C, SIGTERM and SIGHUP (the terminal is gone): the first asks the command to stop at a safe place, the
 * second ends the program at once.
 */
import type { EventEmitter } from 'node:events';
import { Interrupted } from './command.js';

/**
 * A signal aborted with `Interrupted` by the first SIGINT, SIGTERM or SIGHUP that `source` (the process)
 * emits; `exit` is called with its code and name at the second.
 */
export function interruption(
  source: EventEmitter,
  exit: (code: number, name: NodeJS.Signals) => void,
): AbortSignal {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    const interrupted = new Interrupted(`interrupted by ${name}`);
    if (controller.signal.aborted) exit(interrupted.exitCode, name);
    controller.abort(interrupted);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) source.on(name, () => stop(name));
  return controller.signal;
}
