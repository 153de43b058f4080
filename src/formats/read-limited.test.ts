import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FileError } from './file-error.js';
import { FormatError } from './format-error.js';
import { readLimited } from './read-limited.js';

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
    expect((await readLimited(path, size)).equals(whole)).toBe(true);
    if (size > 0) await expect(readLimited(path, size - 1)).rejects.toThrow(`at most ${size - 1} bytes`);
  },
);

test.skipIf(!existsSync('/dev/zero'))('a device that never ends is refused at once', async () => {
  await expect(readLimited('/dev/zero')).rejects.toThrow(FormatError);
  await expect(readLimited('/dev/zero')).rejects.toThrow('/dev/zero: expected a file, got a device');
});

test('a file that is missing is a FileError', async () => {
  await expect(readLimited(join(folder, 'none'))).rejects.toThrow(FileError);
});
