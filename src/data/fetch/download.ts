/**
 * Downloads that survive an interruption: bytes go to `<file>.part`, which the next attempt continues with an
 * HTTP Range request; the file gets its name only when it is whole and, where a sum was published, is the
 * published one.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lock } from 'proper-lockfile';
import { toFileError } from '../../formats/file-error.js';
import { makeFolder } from '../../formats/folder.js';
import { DataError } from '../data-error.js';

/** A file on the web as its authors published it. */
export interface WebFile {
  readonly url: string;
  /** Length, where known. */
  readonly bytes?: number;
  /** SHA-256 of the file itself (not unpacked), where known. */
  readonly sha256?: string;
  /** MD5, where that is the only sum known. */
  readonly md5?: string;
}

/** How far a file is: bytes, or images where a data set is decoded. */
export interface DownloadProgress {
  readonly file: string;
  readonly received: number;
  /** Undefined where the server does not say. */
  readonly total: number | undefined;
  /** What is counted; bytes unless given. */
  readonly unit?: 'images';
}

export interface DownloadOptions {
  readonly progress?: (state: DownloadProgress) => void;
  readonly signal?: AbortSignal;
  /** Attempts in a row that may bring nothing; 3 unless given. */
  readonly attempts?: number;
}

/** The connection failed, now or within the body: worth another attempt. */
class ConnectionError extends Error {}

/**
 * Downloads `file` to `path`, going on with what an earlier attempt left in `<path>.part`; waits while
 * another process downloads it.
 * @throws DataError in one line: what was to be fetched, how far it came, why it ended, what to do; FileError
 *  if it cannot be written
 */
export async function download(file: WebFile, path: string, options: DownloadOptions = {}): Promise<void> {
  await makeFolder(dirname(path));
  const { waited, release } = await locked(path, options.signal);
  try {
    // Another process that held the lock has fetched what both wanted.
    if (!waited || (await sizeOf(path)) === 0) await downloadAlone(file, path, options);
  } finally {
    await release().catch(() => undefined);
  }
}

/**
 * One process at a time writes a partial file; the lock of one that was killed is stale after ten seconds.
 */
async function locked(
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ waited: boolean; release: () => Promise<void> }> {
  for (let waited = false; ; waited = true) {
    try {
      return { waited, release: await lock(path, { realpath: false, stale: 10_000 }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw toFileError(path, 'write', error);
    }
    await sleep(500, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

async function downloadAlone(file: WebFile, path: string, options: DownloadOptions): Promise<void> {
  const part = `${path}.part`;
  const attempts = options.attempts ?? 3;
  for (let fruitless = 0; ; ) {
    const before = await sizeOf(part);
    try {
      await attempt(file, path, part, options);
      break;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof ConnectionError)) throw error;
      const after = await sizeOf(part);
      fruitless = after > before ? 0 : fruitless + 1;
      if (fruitless >= attempts)
        throw new DataError(
          `cannot download ${file.url}: ${error.message}${after > 0 ? resumable(after, file) : ''}`,
          { cause: error },
        );
    }
  }
  await accept(file, path, part);
}

const resumable = (received: number, { bytes }: WebFile): string =>
  `; ${received}${bytes === undefined ? '' : ` of ${bytes}`} bytes are kept, run it again to go on from ` +
  'there';

const validatorOf = (part: string): string => `${part}.version`;

/** One request from where the partial file ends. */
async function attempt(
  file: WebFile,
  path: string,
  part: string,
  { progress, signal }: DownloadOptions,
): Promise<void> {
  const have = await sizeOf(part);
  if (file.bytes !== undefined && have === file.bytes) return;
  const validator = have > 0 ? await readFile(validatorOf(part), 'utf8').catch(() => '') : '';
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (have > 0) headers.range = `bytes=${have}-`;
  if (have > 0 && validator !== '') headers['if-range'] = validator;
  const response = await fetch(file.url, { headers, signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw new ConnectionError(reasonOf(error));
  });
  if (response.status === 416) {
    // The partial file is as long as the whole or longer; if it is the whole, its length says so.
    await response.body?.cancel();
    if (response.headers.get('content-range') === `bytes */${have}`) return;
    await rm(part, { force: true });
    throw new ConnectionError('the server has another version of the file than the one that was begun');
  }
  if (response.status !== 200 && response.status !== 206) {
    await response.body?.cancel();
    const again = response.status >= 500 || response.status === 429;
    const message = `the server answered ${response.status} ${response.statusText}`.trim();
    throw again ? new ConnectionError(message) : new DataError(`cannot download ${file.url}: ${message}`);
  }
  const start = response.status === 206 ? have : 0;
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const total = file.bytes ?? (Number.isFinite(length) ? start + length : undefined);
  const version = response.headers.get('etag') ?? response.headers.get('last-modified');
  // A weak validator cannot be used to continue a file.
  await written(part, () => writeFile(validatorOf(part), version?.startsWith('W/') ? '' : (version ?? '')));
  let received = start;
  const handle = await written(part, () => open(part, start > 0 ? 'a' : 'w'));
  try {
    if (response.body === null) throw new ConnectionError('the server sent nothing');
    for await (const chunk of chunksOf(response.body, signal)) {
      await written(part, () => writeWhole(handle, chunk));
      received += chunk.length;
      progress?.({ file: basename(path), received, total });
    }
  } finally {
    await handle.close();
  }
  if (total !== undefined && received < total) throw new ConnectionError('the connection ended early');
}

async function* chunksOf(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  const chunks = body[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      signal?.throwIfAborted();
      throw new ConnectionError(`the connection was interrupted (${reasonOf(error)})`);
    });
    if (next.done) return;
    yield next.value;
  }
}

async function writeWhole(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) done += (await handle.write(chunk, done)).bytesWritten;
}

/**
 * Checks the whole file and gives it its name; one that is not the published one is deleted, or it would be
 * continued for ever.
 */
async function accept(file: WebFile, path: string, part: string): Promise<void> {
  const remove = () => Promise.all([part, validatorOf(part)].map((name) => rm(name, { force: true })));
  const size = await sizeOf(part);
  if (file.bytes !== undefined && size !== file.bytes) {
    await remove();
    throw new DataError(
      `${file.url}: expected ${file.bytes} bytes, got ${size}; the file there is not the published one`,
    );
  }
  for (const algorithm of ['sha256', 'md5'] as const) {
    const expected = file[algorithm];
    if (expected === undefined) continue;
    const hash = createHash(algorithm);
    for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 }))
      hash.update(chunk as Buffer);
    const got = hash.digest('hex');
    if (got === expected) continue;
    await remove();
    const sum = algorithm === 'md5' ? 'MD5' : 'SHA-256';
    throw new DataError(
      `${file.url}: expected ${sum} ${expected}, got ${got}; the file there is not the published one`,
    );
  }
  await written(path, () => rename(part, path));
  await rm(validatorOf(part), { force: true });
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

const written = <T>(path: string, write: () => Promise<T>): Promise<T> =>
  write().catch((error: unknown) => {
    throw toFileError(path, 'write', error);
  });

const UNREACHABLE = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function reasonOf(error: unknown): string {
  const cause = (error as { cause?: NodeJS.ErrnoException }).cause;
  const code = cause?.code ?? (error as NodeJS.ErrnoException).code;
  if (code !== undefined && UNREACHABLE.has(code))
    return `it cannot be reached (${code}); is the computer offline?`;
  return (code ?? (cause?.message || (error as Error).message)).split('\n')[0] as string;
}
