/**
 * A run is a folder:
 *
 * ```
 * config.yaml              every setting, and the version that wrote it; `--config` reads it
 * metrics.jsonl            one line per record, see metrics.ts
 * events.out.tfevents…     the same for TensorBoard, see event-log.ts
 * checkpoints/             see checkpoint-folder.ts
 * network.onnx             the trained network
 * parameters.safetensors   its parameters
 * summary.md               one page about the run; written last: a run that has it is finished
 * certificate.jsonl …      verdicts of its last certification, and certification.json, its numbers
 * lock/, holder.json       while a process works on it
 * ```
 */
import { existsSync } from 'node:fs';
import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../formats/atomic-file.js';
import { FileError, toFileError } from '../../formats/file-error.js';
import { makeFolder } from '../../formats/folder.js';
import { rowsComputedBy } from '../../runtime/kernels/row-kernel.js';
import { Failure, UsageError } from '../errors.js';
import { configText, type Origin, readConfigFile } from '../settings/config-file.js';
import { resolveSettings } from '../settings/resolve-settings.js';
import type { Settings } from '../settings/settings.js';
import { VERSION } from '../version.js';
import { LOCK_NAMES, type LockOptions, lockRun } from './run-lock.js';

/**
 * Version of this layout and of what its settings mean; raised where another version would misread a run or
 * go on with another experiment. 2: Shi's initialisation spares the last layer, his tightness is of the
 * normalised input, attacks keep their best point, training has a radius of its own.
 */
export const RUN_FORMAT = 2;

export interface RunPaths {
  readonly config: string;
  readonly metrics: string;
  readonly events: string;
  readonly checkpoints: string;
  readonly network: string;
  readonly parameters: string;
  readonly summary: string;
  /** Of its last certification, see certification-record.ts. */
  readonly certification: string;
}

/** A run as it is on disk. */
export interface RunRecord {
  readonly path: string;
  readonly paths: RunPaths;
  readonly settings: Settings;
  /** The tautnet that created it. */
  readonly version: string;
  /** What computed rows of tight relaxations when it was created; undefined where it does not say. */
  readonly rows: string | undefined;
  readonly finished: boolean;
}

/** A run that this process works on. */
export interface Run extends RunRecord {
  /** Call before writing: @throws Failure if another process has taken the run over */
  check(): void;
  /** Gives the run up; always call it. */
  release(): Promise<void>;
  /** Removes what creating it made, for a run that could not begin; only a run that was created has it. */
  discard?(): Promise<void>;
}

export function runPaths(path: string): RunPaths {
  return {
    config: join(path, 'config.yaml'),
    metrics: join(path, 'metrics.jsonl'),
    events: join(path, 'events.out.tfevents.0.tautnet'),
    checkpoints: join(path, 'checkpoints'),
    network: join(path, 'network.onnx'),
    parameters: join(path, 'parameters.safetensors'),
    summary: join(path, 'summary.md'),
    certification: join(path, 'certification.json'),
  };
}

/** The folder `name`, or the first of `name-2`, `name-3`, … that is not there yet. */
export function freeFolder(name: string): string {
  for (let count = 1; ; count++) {
    const folder = count === 1 ? name : `${name}-${count}`;
    if (!existsSync(folder)) return folder;
  }
}

/**
 * Creates a run in a folder that is not there or empty, and locks it.
 * @throws UsageError for a folder with anything in it, saying what can be done; FileError; Failure if another
 *  process was faster
 */
export async function createRun(path: string, settings: Settings, options: LockOptions = {}): Promise<Run> {
  await refuseOccupied(path);
  const paths = runPaths(path);
  const rows = rowsComputedBy();
  const isNew = await makeFolder(path);
  const held = await lockRun(path, options);
  try {
    // Between the first look and the lock another process may have made a run here.
    await refuseOccupied(path);
    await makeFolder(paths.checkpoints);
    await writeFileAtomic(paths.config, configText(settings, { format: RUN_FORMAT, version: VERSION, rows }));
  } catch (error) {
    await held.release();
    throw error;
  }
  const discard = async (): Promise<void> => {
    await rm(paths.config, { force: true });
    await rm(paths.checkpoints, { recursive: true, force: true });
    await held.release();
    // What the user has put there meanwhile stays.
    if (isNew) await rmdir(path).catch(() => undefined);
  };
  return { path, paths, settings, version: VERSION, rows, finished: false, ...held, discard };
}

/**
 * Opens a run to go on with it, and locks it.
 * @throws UsageError if there is no run; Failure if another process works on it or another version's layout
 *  cannot be read; FileError
 */
export async function openRun(path: string, options: LockOptions = {}): Promise<Run> {
  await readRun(path);
  const held = await lockRun(path, options);
  try {
    return { ...(await readRun(path)), ...held };
  } catch (error) {
    await held.release();
    throw error;
  }
}

/**
 * Reads what a run is without locking it: to certify its network, to report on it. @throws as openRun, but
 * for the lock
 */
export async function readRun(path: string): Promise<RunRecord> {
  const paths = runPaths(path);
  if (!existsSync(path))
    throw new UsageError(`${path}: expected the folder of a run, there is nothing; check the path`);
  if (!existsSync(paths.config))
    throw new UsageError(`${path}: expected the folder of a run, it has no config.yaml; check the path`);
  const { given, whereabouts, origin } = await readConfigFile(paths.config).catch((error: unknown) => {
    if (error instanceof FileError) throw new UsageError(error.message, { cause: error });
    throw error instanceof UsageError ? unreadable(paths.config, error) : error;
  });
  const { version, rows } = checkOrigin(paths.config, origin);
  return {
    path,
    paths,
    settings: resolveSettings(given, whereabouts),
    version,
    rows,
    finished: existsSync(paths.summary),
  };
}

function checkOrigin(config: string, origin: unknown): Origin {
  const { format, version, rows } = (
    typeof origin === 'object' && origin !== null ? origin : {}
  ) as Partial<Origin>;
  if (typeof format !== 'number' || typeof version !== 'string') {
    throw new UsageError(
      `${config}: expected "tautnet: {format, version}" as runs have it, got none; to start a run from ` +
        'this file use --config',
    );
  }
  if (format !== RUN_FORMAT) {
    throw new Failure(
      `${config}: expected run format ${RUN_FORMAT}, got ${format}: written by tautnet ${version}, this ` +
        `is ${VERSION}; use version ${version}, or start a new run`,
    );
  }
  return { format, version, rows: typeof rows === 'string' ? rows : undefined };
}

/** A run's own configuration names a setting this version has not: most often, another version wrote it. */
function unreadable(config: string, error: UsageError): Failure {
  const message = error.message.startsWith(config) ? error.message : `${config}: ${error.message}`;
  return new Failure(`${message} (was it edited, or written by a version other than ${VERSION}?)`, {
    cause: error,
  });
}

async function refuseOccupied(path: string): Promise<void> {
  const own: readonly string[] = Object.values(LOCK_NAMES);
  let entries: string[];
  try {
    entries = (await readdir(path)).filter((name) => !own.includes(name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code !== 'ENOTDIR') throw toFileError(path, 'read', error);
    const isFile = (await stat(path).catch(() => undefined)) !== undefined;
    throw new UsageError(
      `--out: expected a folder, ${isFile ? path : `a part of ${path}`} is a file; choose another`,
    );
  }
  const { config, summary } = runPaths(path);
  if (entries.length === 0) return;
  if (!existsSync(config))
    throw new UsageError(
      `--out: expected a new or empty folder, ${path} has other files in it; choose another`,
    );
  if (existsSync(summary))
    throw new UsageError(`--out: expected a new or empty folder, ${path} is a finished run; choose another`);
  throw new UsageError(
    `--out: expected a new or empty folder, ${path} is an unfinished run; continue it with \`tautnet ` +
      `train --resume ${path}\`, or choose another`,
  );
}
