/**
 * A run as it travels where workers share no folder: its files but for the lock and for checkpoints that
 * nobody goes on from. Only plain names are taken from a parcel, so that it writes into its run's folder
 * alone.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../experiment/errors.js';
import { runPaths } from '../../experiment/run/run-folder.js';
import { LOCK_NAMES } from '../../experiment/run/run-lock.js';
import { writeFileAtomic } from '../../formats/atomic-file.js';

/** Largest run that travels, in bytes of its files; base64 makes a third more of it. */
export const MOST_SHIPPED = 64 * 2 ** 20;

const CHECKPOINTS = 'checkpoints/';
const NAME = /^(?:checkpoints\/)?[A-Za-z0-9][\w.-]*$/;

/** Names of files to their bytes in base64. */
export const parcelSchema = z.record(z.string().regex(NAME), z.base64());
export type Parcel = z.infer<typeof parcelSchema>;

/** Names of the files of a run that travel. */
async function shippedNames(run: string): Promise<string[]> {
  const held: readonly string[] = [LOCK_NAMES.lock, LOCK_NAMES.holder];
  const top = await readdir(run, { withFileTypes: true });
  const names = top.filter((entry) => entry.isFile() && !held.includes(entry.name)).map(({ name }) => name);
  const { checkpoints } = runPaths(run);
  const kept = existsSync(checkpoints) ? await readdir(checkpoints) : [];
  const checkpoint = kept.filter((name) => /^(?:next|last|best)\.safetensors$/.test(name));
  return [...names, ...checkpoint.map((name) => `${CHECKPOINTS}${name}`)].filter((name) => NAME.test(name));
}

/**
 * @returns the files of a run, or undefined where there is none. @throws Failure if they are too many bytes
 */
export async function packRun(run: string): Promise<Parcel | undefined> {
  if (!existsSync(runPaths(run).config)) return undefined;
  const parcel: Parcel = {};
  let size = 0;
  for (const name of await shippedNames(run)) {
    const bytes = await readFile(join(run, name));
    size += bytes.length;
    if (size > MOST_SHIPPED)
      throw new Failure(
        `${run}: expected a run of at most ${MOST_SHIPPED / 2 ** 20} MiB to travel, got a larger one; let ` +
          'workers share the folder of the sweep',
      );
    parcel[name] = bytes.toString('base64');
  }
  return parcel;
}

/** Writes the files of a parcel into a run's folder; its configuration last, which makes it a run. */
export async function unpackRun(run: string, parcel: Parcel): Promise<void> {
  await mkdir(runPaths(run).checkpoints, { recursive: true });
  const last = (name: string): number => Number(join(run, name) === runPaths(run).config);
  const files = Object.entries(parcel).sort(([a], [b]) => last(a) - last(b));
  for (const [name, text] of files) await writeFileAtomic(join(run, name), Buffer.from(text, 'base64'));
}
