/**
 * Files whose content is known in advance: where downloads are kept, and the check that a file is the
 * published one.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import envPaths from 'env-paths';
import { toFileError } from '../../formats/file-error.js';
import { makeFolder } from '../../formats/folder.js';
import { isGzip } from '../../formats/idx.js';
import { DataError } from '../data-error.js';

/** A file as published: its name, and the length and SHA-256 of its content when unpacked. */
export interface PublishedFile {
  readonly name: string;
  readonly bytes: number;
  /**
   * Of the content; where only the compressed file's sum was published, that is `gzip` and the content's is
   * unknown.
   */
  readonly sha256?: string;
  /** The compressed file `name`.gz as published. */
  readonly gzip?: { readonly bytes: number; readonly sha256: string };
}

/**
 * Where downloads are kept: the environment variable TAUTNET_CACHE; else ~/.cache/tautnet where it exists;
 * else the system's folder for caches (XDG_CACHE_HOME or ~/.cache on Linux, ~/Library/Caches on macOS,
 * %LOCALAPPDATA% on Windows).
 */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.TAUTNET_CACHE) return environment.TAUTNET_CACHE;
  const earlier = join(homedir(), '.cache', 'tautnet');
  return existsSync(earlier) ? earlier : envPaths('tautnet', { suffix: '' }).cache;
}

/** Whether `path` is there; an unreadable place counts as absent. */
export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/**
 * Checks that a file, gzip-compressed or plain, holds what was published; reads it as a stream, and no
 * further than it should go.
 * @param remedy what the error tells the user to do
 * @throws DataError naming the file, expected and actual length or SHA-256; FileError if it cannot be read
 */
export async function verifyFile(path: string, expected: PublishedFile, remedy: string): Promise<void> {
  const { bytes, sha256 } = await contentOf(path, expected.bytes, remedy);
  if (bytes !== expected.bytes) {
    const got = bytes > expected.bytes ? `more than ${expected.bytes}` : `${bytes}`;
    throw new DataError(`${path}: expected ${expected.bytes} bytes, got ${got}; ${remedy}`);
  }
  if (expected.sha256 !== undefined && sha256 !== expected.sha256)
    throw new DataError(`${path}: expected SHA-256 ${expected.sha256}, got ${sha256}; ${remedy}`);
}

/**
 * Runs `fill` on a fresh folder inside `cacheDir`, then moves the files it names into `cacheDir/name`, each
 * by one rename; whatever happens, the fresh folder is gone afterwards, and files appear under their name
 * only when `fill` has accepted all of them.
 * @returns the folder `cacheDir/name`
 * @throws what `fill` throws; FileError if the cache cannot be written
 */
export async function installFiles(
  cacheDir: string,
  name: string,
  fill: (staging: string) => Promise<readonly { path: string; name: string }[]>,
): Promise<string> {
  const folder = join(cacheDir, name);
  const staging = await makeFolder(folder)
    .then(() => mkdtemp(join(cacheDir, `.${name}-`)))
    .catch((error: unknown) => {
      throw toFileError(folder, 'write', error);
    });
  try {
    for (const file of await fill(staging)) {
      const target = join(folder, file.name);
      await rename(file.path, target).catch((error: unknown) => {
        throw toFileError(target, 'write', error);
      });
    }
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return folder;
}

/** Length and SHA-256 of the unpacked content; stops counting once it is longer than `atMost`. */
async function contentOf(
  path: string,
  atMost: number,
  remedy: string,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const digest = async (content: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of content) {
      bytes += chunk.length;
      if (bytes > atMost) return;
      hash.update(chunk);
    }
  };
  try {
    const file = createReadStream(path, { highWaterMark: 1 << 20 });
    if (await startsLikeGzip(path)) await pipeline(file, createGunzip(), digest);
    else await pipeline(file, digest);
  } catch (error) {
    // Leaving a pipeline early aborts it, which it reports as an error.
    if (bytes > atMost) return { bytes, sha256: '' };
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code.startsWith('Z_'))
      throw new DataError(
        `${path}: expected a whole gzip file, got one that does not unpack ` +
          `(${(error as Error).message}); ${remedy}`,
      );
    throw toFileError(path, 'read', error);
  }
  return { bytes, sha256: hash.digest('hex') };
}

async function startsLikeGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && isGzip(buffer);
  } finally {
    await file.close();
  }
}
