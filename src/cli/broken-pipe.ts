/** What happens when the reader of our output is gone, as in `tautnet … | head`. */
import type { Output } from './command.js';

/**
 * Without a listener a closed pipe would end the program with a stack. With this one the program goes on
 * unread: results come last, so that little is left to do, and the exit code stays the command's own, which
 * for `verify` is its answer.
 */
export function tolerateBrokenPipes(...outputs: readonly Output[]): void {
  for (const output of outputs)
    output.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
}
