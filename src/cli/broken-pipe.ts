/** What happens when the reader of our output is gone, as in `tautnet … | head`. */
import type { Output } from './command.js';

/**
 * Without a listener a closed pipe would end the program with a stack. Nobody reads `stdout` any more: end quietly. Nobody
 * reads `stderr`: go on without progress.
 */
export function tolerateBrokenPipes(stdout: Output, stderr: Output, exit: (code: number) => void): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    exit(0);
  });
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
