/**
 * The contract between the program and its commands: a command is a Commander command built by a function of
 * the terminal it talks to. Actions throw (UsageError, Failure, FileError, …) and never exit; the program
 * maps errors to exit codes.
 */
import type { Command } from 'commander';
import type { Watchdog } from './watched.js';

/** Where a command writes: results to stdout, progress and errors to stderr. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /**
   * Aborted by the first Ctrl-C or SIGTERM: finish the step, write a checkpoint, then throw `signal.reason`.
   */
  readonly signal: AbortSignal;
  /** The clock that ends this process, where it is watched. */
  readonly watchdog?: Watchdog;
}

/** Builds a command, e.g. `makeTrainCommand`; called once for each program. */
export type MakeCommand = (io: Io) => Command;

/** Why a command was stopped: the reason of an aborted `Io.signal`. */
export class Interrupted extends Error {
  override name = 'Interrupted';
  /** As a shell reports a process that a signal ended: 128 + 2. */
  readonly exitCode = 130;
}

/**
 * How a command ends whose exit code says more than done or not: thrown as its last deed. Nothing is printed
 * for it, unless something went wrong, its `cause`, which is then explained as any other error.
 */
export class ExitWith extends Error {
  override name = 'ExitWith';
  constructor(
    readonly exitCode: number,
    cause?: unknown,
  ) {
    super(`exit code ${exitCode}`, { cause });
  }
}

/**
 * Writes a result and waits until it is out; a reader that is gone counts as having read it.
 * @throws the stream's error, as of a full disk
 */
export const written = (output: Output, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    output.write(text, (error) =>
      error && (error as NodeJS.ErrnoException).code !== 'EPIPE' ? reject(error) : resolve(),
    );
  });
