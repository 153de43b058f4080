/** The built program in processes of its own, as a user starts it, for end-to-end tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const PROGRAM = join(ROOT, 'dist', 'cli', 'main.js');

export interface Ended {
  /** Exit code, or null if a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

export interface StartOptions {
  /** Largest file it may write, in blocks of 512 bytes, as `ulimit -f` in a POSIX shell takes it. */
  readonly fileSizeLimit?: number;
}

/**
 * Starts `tautnet` on arguments. The process itself is the child, so that signals reach it and nothing else.
 */
export function startTautnet(argv: readonly string[], { fileSizeLimit }: StartOptions = {}): Started {
  const [command, ...rest] =
    fileSizeLimit === undefined
      ? [process.execPath, PROGRAM, ...argv]
      : ['sh', '-c', `ulimit -f ${fileSizeLimit}; exec "$@"`, 'sh', process.execPath, PROGRAM, ...argv];
  const child = spawn(command as string, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TAUTNET_DEBUG: '' },
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...texts }));
  });
  return { child, ended };
}

/** Runs `tautnet` to its end. */
export const tautnet = (argv: readonly string[], options?: StartOptions): Promise<Ended> =>
  startTautnet(argv, options).ended;

/**
 * What `tautnet train` says of a failure: one line, after its settings and its progress, and never a stack.
 */
export function failureOf({ stderr }: Ended): string {
  const lines = stderr.trimEnd().split('\n');
  const failures = lines.filter((line) => line.startsWith('tautnet: '));
  const stack = lines.filter((line) => /^\s+at /.test(line));
  if (failures.length !== 1 || failures[0] !== lines.at(-1) || stack.length > 0)
    throw new Error(`expected one line that says what failed, got:\n${stderr}`);
  return failures[0] as string;
}

/** Waits until a file is there while the process lives. */
export async function fileOf(started: Started, path: string): Promise<void> {
  while (!existsSync(path)) {
    const ended = started.child.exitCode !== null || started.child.signalCode !== null;
    if (ended)
      throw new Error(
        `expected ${path} while the process runs, but it ended: ${(await started.ended).stderr}`,
      );
    await sleep(2);
  }
}

/** A training that takes about a second, most of it to start: two epochs of two steps. */
export const SHORT_TRAINING: readonly string[] = [
  'train',
  '--architecture',
  'fc-small',
  '--train-limit',
  '200',
  '--batch-size',
  '100',
  '--epochs',
  '2',
];

/** Every whole line of a run's metrics but for how long things took. */
export async function timelessMetrics(run: string): Promise<Record<string, unknown>[]> {
  const lines = (await readFile(join(run, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');
  return lines.map((line) => {
    const {
      seconds: _seconds,
      samplesPerSecond: _speed,
      ...rest
    } = JSON.parse(line) as Record<string, unknown>;
    return rest;
  });
}

/** What two trainings must have in common to be the same, bit for bit. */
export async function resultOf(
  run: string,
): Promise<{ parameters: string; network: string; metrics: Record<string, unknown>[] }> {
  const digest = async (name: string) =>
    createHash('sha256')
      .update(await readFile(join(run, name)))
      .digest('hex');
  return {
    parameters: await digest('parameters.safetensors'),
    network: await digest('network.onnx'),
    metrics: await timelessMetrics(run),
  };
}
