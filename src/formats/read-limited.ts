/**
 * Files that a user names, read piece by piece up to a limit: whoever names a device that never ends, a file
 * that does not fit or a small one that unpacks to a huge one is told so before the memory is gone.
 *
 * A signal ends the reading between two pieces. Named pipes are opened without waiting for who writes into
 * them, so that it ends those at once, too.
 */
import { constants, openSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { toFileError } from './file-error.js';
import { FormatError } from './format-error.js';
import { isGzip, LARGEST_UNPACKED } from './gzip.js';

/** How much may be read, and until when. */
export interface ReadLimits {
  /** Bytes of the file and of what it unpacks to (default 2³¹ and 2³⁰). */
  readonly most?: number;
  /** Its reason is thrown once it is aborted. */
  readonly signal?: AbortSignal;
}

/** Bytes of a model or of what is read beside it. */
const MOST = 2 ** 31;
const CHUNK = 2 ** 22;
/** Bytes that are unpacked at once. */
const UNPACKED_CHUNK = 2 ** 18;

/**
 * The bytes of a file or pipe, as they are.
 * @throws FormatError for a device, or for more than `most` bytes; FileError where reading fails; the reason
 *  of `signal`
 */
export const readLimited = async (path: string, limits: ReadLimits = {}): Promise<Buffer> =>
  collected(filePieces(path, limits));

/**
 * The bytes of a file or pipe, unpacked where they are gzip's.
 * @throws as `readLimited`; FormatError, too, for a gzip file that is cut off, damaged or in another
 */
export async function readUnpacked(path: string, limits: ReadLimits = {}): Promise<Buffer> {
  const bytes = await collected(plainPieces(path, limits));
  // Readers of bytes unpack with a limit of their own.
  if (isGzip(bytes)) throw new FormatError(`${path}: expected a file packed once, got one packed twice`);
  return bytes;
}

/** The pieces of a file or pipe, unpacked where they are gzip's. @throws as `readUnpacked` */
export async function* plainPieces(path: string, limits: ReadLimits = {}): AsyncGenerator<Buffer> {
  const file = filePieces(path, limits);
  try {
    const first = await beginning(file);
    const whole = (async function* () {
      if (first.length > 0) yield first;
      yield* file;
    })();
    if (isGzip(first)) yield* unpacked(whole, path, limits);
    else yield* whole;
  } finally {
    await file.return(undefined);
  }
}

async function collected(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return all.length === 1 ? (all[0] as Buffer) : Buffer.concat(all);
}

/** First pieces in which gzip could be told: a pipe may yield a single byte. */
async function beginning(file: AsyncGenerator<Buffer>): Promise<Buffer> {
  let bytes: Buffer = Buffer.alloc(0);
  while (bytes.length < 2) {
    const next = await file.next();
    if (next.done === true) break;
    bytes = bytes.length === 0 ? next.value : Buffer.concat([bytes, next.value]);
  }
  return bytes;
}

/** What gzip-compressed pieces unpack to, up to the limit. */
async function* unpacked(
  pieces: AsyncIterable<Buffer>,
  path: string,
  { most, signal }: ReadLimits,
): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: UNPACKED_CHUNK });
  // Whoever iterates meets the error; the callback is only there because an error without one would end the
  // process.
  pipeline(Readable.from(pieces), gunzip, () => undefined);
  let total = 0;
  try {
    for await (const piece of gunzip as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      total += piece.length;
      if (total > (most ?? LARGEST_UNPACKED))
        throw tooLarge(path, `a file that unpacks to at most ${most ?? LARGEST_UNPACKED} bytes`, most);
      yield piece;
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code?.startsWith('Z_') !== true) throw error;
    throw new FormatError(`${path}: expected a whole gzip file, got one that does not unfold (${message})`);
  }
}

const tooLarge = (path: string, expected: string, given: number | undefined): FormatError =>
  new FormatError(
    `${path}: expected ${expected}, got a larger one` +
      (given === undefined ? '' : '; allow more with --memory'),
  );

/** The pieces of a file or pipe, as they are. */
async function* filePieces(path: string, { most, signal }: ReadLimits): AsyncGenerator<Buffer> {
  const limit = most ?? MOST;
  try {
    signal?.throwIfAborted();
    const about = await stat(path);
    if (about.isCharacterDevice() || about.isBlockDevice())
      throw new FormatError(`${path}: expected a file, got a device`);
    if (about.size > limit) throw tooLarge(path, `a file of at most ${limit} bytes`, most);
    let total = 0;
    for await (const piece of about.isFIFO() ? pipePieces(path, signal) : openPieces(path, about.size)) {
      signal?.throwIfAborted();
      total += piece.length;
      if (total > limit) throw tooLarge(path, `a file of at most ${limit} bytes`, most);
      yield piece;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof FormatError ? error : toFileError(path, 'read', error);
  }
}

async function* openPieces(path: string, size: number): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    for (;;) {
      const piece = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(2 ** 16, size + 1)));
      const { bytesRead } = await file.read(piece, 0, piece.length);
      if (bytesRead === 0) return;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** A named pipe: opened at once, read when somebody has written into it, left when the signal says so. */
function pipePieces(path: string, signal: AbortSignal | undefined): AsyncIterable<Buffer> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false, ...(signal && { signal }) });
}
