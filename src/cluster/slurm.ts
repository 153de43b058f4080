/**
 * Workers as one job array of Slurm. Slurm gives machines, not messages: the script starts a worker on
 * each, and the workers take their jobs from a queue. The URL of the queue, which may have a password, is
 * in the environment of the submission, never in the script.
 */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Failure, UsageError } from '../experiment/errors.js';
import { writeFileAtomic } from '../formats/atomic-file.js';
import type { Address } from './broker/address.js';

export interface SlurmOptions {
  /** Workers of the array. */
  readonly workers: number;
  /** Processors of each, and its worker threads. */
  readonly threads: number;
  /** More options of `sbatch`, such as "--time=4:00:00". */
  readonly more: readonly string[];
  /** The program that a worker is: Node and its arguments before `worker`. */
  readonly program: readonly string[];
  /** Variable of the environment that holds the URL of the queue. */
  readonly variable: string;
}

/** Seconds without a job after which a worker gives its machine back. */
const IDLE = 300;
/** Seconds before the time limit at which workers save what they do. */
const NOTICE = 120;

const OPTION = /^--[a-z][a-z-]*(?:=[^\s'"\\]+)?$/;

/** Options of `sbatch` from one text. @throws UsageError for text that is none */
export function slurmOptions(text: string): string[] {
  const options = text.split(/\s+/).filter((word) => word !== '');
  const odd = options.find((option) => !OPTION.test(option));
  if (odd === undefined) return options;
  throw new UsageError(
    `--slurm-options: expected options of sbatch such as "--time=4:00:00 --partition=cpu", got "${odd}"`,
  );
}

const quoted = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** The batch script of workers, with their logs in a folder. */
export function slurmScript(folder: string, options: SlurmOptions): string {
  const { workers, threads, more, program } = options;
  const directives = [
    '--job-name=tautnet',
    `--array=0-${workers - 1}`,
    `--cpus-per-task=${threads}`,
    `--output=${join(folder, 'worker-%a.log')}`,
    '--open-mode=append',
    // After a preemption or the failure of a machine the worker is started again.
    '--requeue',
    `--signal=B:TERM@${NOTICE}`,
    ...more,
  ];
  const command = [...program.map(quoted), 'worker', '--queue', '--threads', threads, '--idle', IDLE];
  return [
    '#!/bin/sh',
    ...directives.map((directive) => `#SBATCH ${directive}`),
    '# The worker takes the place of the shell, so that signals reach it.',
    `exec ${command.join(' ')}`,
    '',
  ].join('\n');
}

/**
 * Writes the script of workers into a folder of sweeps and submits it.
 * @returns the number of Slurm's job
 * @throws Failure if `sbatch` is missing or refuses; FileError
 */
export async function submitWorkers(path: string, address: Address, options: SlurmOptions): Promise<string> {
  const folder = join(resolve(path), 'slurm');
  await mkdir(folder, { recursive: true });
  const script = join(folder, 'workers.sbatch');
  await writeFileAtomic(script, slurmScript(folder, options));
  const environment = { ...process.env, [options.variable]: address.url };
  try {
    const run = promisify(execFile);
    const { stdout } = await run('sbatch', ['--parsable', script], { env: environment });
    return stdout.trim().split(';')[0] ?? '';
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    const said = stderr?.trim().split('\n').at(-1) || `code ${code}`;
    throw new Failure(
      code === 'ENOENT'
        ? '--slurm: expected the command sbatch, it is not there; start the sweep on a machine of the cluster'
        : `--slurm: expected sbatch to take ${script}, it refused: ${said}`,
      { cause: error },
    );
  }
}
