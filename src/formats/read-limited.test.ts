import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileError } from './file-error.js';
import { FormatError } from './format-error.js';
import { plainPieces, readLimited, readUnpacked } from './read-limited.js';
import { readVnnlib } from './vnnlib.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-limit-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each([0, 1, 70_000, 5_000_000])(
  'a file of %i bytes is read whole, or refused by a smaller limit',
  async (size) => {
    const bytes = Buffer.from(Array.from({ length: Math.min(size, 70_000) }, (_, i) => i % 251));
    const whole = Buffer.alloc(size, bytes.length > 0 ? bytes : undefined);
    const path = join(folder, `${size}`);
    await writeFile(path, whole);
    expect((await readLimited(path, { most: size })).equals(whole)).toBe(true);
    if (size > 0)
      await expect(readLimited(path, { most: size - 1 })).rejects.toThrow(`at most ${size - 1} bytes`);
  },
);

test.skipIf(!existsSync('/dev/zero'))('a device that never ends is refused at once', async () => {
  await expect(readLimited('/dev/zero')).rejects.toThrow(FormatError);
  await expect(readLimited('/dev/zero')).rejects.toThrow('/dev/zero: expected a file, got a device');
});

test('a file that is missing is a FileError', async () => {
  await expect(readLimited(join(folder, 'none'))).rejects.toThrow(FileError);
});

describe('a gzip file', () => {
  test.each([0, 1, 300_000])('of %i bytes is unpacked, or refused by a smaller limit', async (size) => {
    const [whole, path] = [Buffer.alloc(size, 7), join(folder, `${size}.gz`)];
    await writeFile(path, gzipSync(whole, { level: 0 }));
    const most = size + 1000;
    expect((await readUnpacked(path, { most })).equals(whole)).toBe(true);
    if (size > 1)
      await expect(readUnpacked(path, { most: size - 1 })).rejects.toThrow(`at most ${size - 1} bytes`);
  });

  test('that unpacks to more is unpacked no further than the limit', async () => {
    const path = join(folder, 'bomb.gz');
    await writeFile(path, gzipSync(Buffer.alloc(4_000_000)));
    let got = 0;
    const reading = (async () => {
      for await (const piece of plainPieces(path, { most: 1_000_000 })) got += piece.length;
    })();
    await expect(reading).rejects.toThrow(
      new FormatError(
        `${path}: expected a file that unpacks to at most 1000000 bytes, got a larger one; ` +
          'allow more with --memory',
      ),
    );
    expect(got).toBeLessThanOrEqual(1_000_000);
  });

  test('within another is refused, as its limit would not hold', async () => {
    const path = join(folder, 'twice.gz');
    await writeFile(path, gzipSync(gzipSync('text')));
    await expect(readUnpacked(path)).rejects.toThrow(`${path}: expected a file packed once`);
  });

  test('that is cut off is refused', async () => {
    const path = join(folder, 'cut.gz');
    await writeFile(path, gzipSync('a text that is long enough').subarray(0, 30));
    await expect(readUnpacked(path)).rejects.toThrow('expected a whole gzip file');
  });

  test('with a property has the same limit', async () => {
    const path = join(folder, 'spaces.vnnlib.gz');
    await writeFile(path, gzipSync(' '.repeat(100_000)));
    await expect(readVnnlib(path, { most: 50_000 })).rejects.toThrow('at most 50000 bytes');
    await expect(readVnnlib(path, { most: 100_000 })).rejects.not.toThrow('at most');
  });
});

test('an aborted signal ends reading with its reason', async () => {
  const path = join(folder, 'long');
  await writeFile(path, Buffer.alloc(1000));
  const reason = new Error('stopped');
  await expect(readUnpacked(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

describe.skipIf(process.platform === 'win32')('a named pipe', () => {
  const pipe = (name: string): string => {
    spawnSync('mkfifo', [join(folder, name)]);
    return join(folder, name);
  };

  test('is read to its end, byte by byte', async () => {
    const path = pipe('written');
    const packed = gzipSync('what comes through');
    const reading = readUnpacked(path);
    const writer = await open(path, 'w');
    for (const byte of packed) await writer.write(Buffer.of(byte));
    await writer.close();
    expect((await reading).toString()).toBe('what comes through');
  });

  test('is read up to the limit', async () => {
    const path = pipe('endless');
    const refused = expect(readLimited(path, { most: 10 })).rejects.toThrow('at most 10 bytes');
    const writer = await open(path, 'w');
    await writer.write(Buffer.alloc(11));
    await refused;
    await writer.close();
  });

  test.each([true, false])('that yields nothing is left by a signal (somebody writes: %s)', async (held) => {
    const path = pipe(`silent ${held}`);
    const [controller, reason] = [new AbortController(), new Error('stopped')];
    const reading = readLimited(path, { signal: controller.signal });
    const writer = held ? await open(path, 'w') : undefined;
    setTimeout(() => controller.abort(reason), 50);
    await expect(reading).rejects.toBe(reason);
    await writer?.close();
  });
});
