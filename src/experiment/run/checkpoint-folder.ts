/**
 * The `checkpoints/` folder of a run: `last`, the one before it, and `best`.
 *
 * A new checkpoint is written whole under the name `next`; only then does `last` become `previous` and `next`
 * become `last`. Whenever the process is killed, a whole checkpoint is there, and the newest whole one is
 * what is loaded.
 */
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../formats/atomic-file.js';
import { toFileError } from '../../formats/file-error.js';
import { Failure } from '../errors.js';
import { type CheckpointValue, decodeCheckpoint, encodeCheckpoint, ForeignCheckpoint } from './checkpoint.js';

const NEWEST_FIRST = ['next', 'last', 'previous'] as const;

const fileOf = (folder: string, name: string): string => join(folder, `${name}.safetensors`);

/**
 * Saves `value` as the last checkpoint. @throws FileError (disk full, …); the checkpoints before it are then
 * untouched
 */
export async function saveLast(folder: string, value: unknown): Promise<void> {
  await writeFileAtomic(fileOf(folder, 'next'), encodeCheckpoint(value));
  await replace(fileOf(folder, 'last'), fileOf(folder, 'previous'));
  await replace(fileOf(folder, 'next'), fileOf(folder, 'last'));
}

/** Saves `value` as the best checkpoint so far; the one before it is replaced at once or not at all. */
export async function saveBest(folder: string, value: unknown): Promise<void> {
  await writeFileAtomic(fileOf(folder, 'best'), encodeCheckpoint(value));
}

export interface LoadedCheckpoint {
  readonly value: CheckpointValue;
  readonly path: string;
  /** One line for each newer checkpoint that was damaged and passed over: show them to the user. */
  readonly warnings: readonly string[];
}

/**
 * The newest whole checkpoint, or undefined if none was ever saved.
 * @throws Failure if there are checkpoints but every one is damaged, or the newest is of another version
 */
export async function loadLast(folder: string): Promise<LoadedCheckpoint | undefined> {
  const warnings: string[] = [];
  for (const name of NEWEST_FIRST) {
    const path = fileOf(folder, name);
    const bytes = await readIfThere(path);
    if (bytes === undefined) continue;
    try {
      return { value: decodeCheckpoint(bytes, path), path, warnings };
    } catch (error) {
      if (!(error instanceof Failure) || error instanceof ForeignCheckpoint) throw error;
      warnings.push(`${error.message}; an older one is used`);
    }
  }
  if (warnings.length > 0)
    throw new Failure(
      `${folder}: expected a whole checkpoint, got only damaged ones; start the run again in another folder`,
    );
  return undefined;
}

/** The best checkpoint, or undefined if none was saved. @throws Failure if it is damaged */
export async function loadBest(folder: string): Promise<CheckpointValue | undefined> {
  const path = fileOf(folder, 'best');
  const bytes = await readIfThere(path);
  return bytes === undefined ? undefined : decodeCheckpoint(bytes, path);
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toFileError(path, 'read', error);
  }
}

async function replace(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw toFileError(to, 'replace', error);
  }
}
