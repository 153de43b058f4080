/**
 * Ctrl-C and SIGTERM: the first asks the command to stop at a safe place, the second ends the program at
 * once.
 */
import type { EventEmitter } from 'node:events';
import { Interrupted } from './command.js';

/**
 * A signal aborted with `Interrupted` by the first SIGINT or SIGTERM that `source` (the process) emits;
 * `exit` is called at the second.
 */
export function interruption(source: EventEmitter, exit: (code: number) => void): AbortSignal {
  const controller = new AbortController();
  const stop = (name: string): void => {
    const interrupted = new Interrupted(`interrupted by ${name}`);
    if (controller.signal.aborted) exit(interrupted.exitCode);
    controller.abort(interrupted);
  };
  source.on('SIGINT', () => stop('SIGINT'));
  source.on('SIGTERM', () => stop('SIGTERM'));
  return controller.signal;
}
