import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { makeFolder } from './folder.js';

const folder = await mkdtemp(join(tmpdir(), 'tautnet-folder-'));
afterAll(() => rm(folder, { recursive: true }));

describe('a folder', () => {
  it('is made with those above it, once', async () => {
    const path = join(folder, 'a', 'b', 'c');
    expect(await makeFolder(path)).toBe(true);
    expect((await stat(path)).isDirectory()).toBe(true);
    expect(await makeFolder(path)).toBe(false);
    expect(await makeFolder('/')).toBe(false);
  });

  it('is made by several at once', async () => {
    const path = join(folder, 'd', 'e');
    const made = await Promise.all(Array.from({ length: 8 }, () => makeFolder(path)));
    expect(made.filter(Boolean)).toHaveLength(1);
  });

  it('that cannot be made is an error in one line', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(makeFolder(join(folder, 'file'))).rejects.toThrow(/^cannot create .*file: /);
    await expect(makeFolder(join(folder, 'file', 'below'))).rejects.toThrow(
      /^cannot create .*below: a part of the path is a file/,
    );
  });

  // Node's recursive mkdir never comes back from here.
  it.runIf(process.platform === 'linux')('under a file system that makes none is refused', async () => {
    await expect(makeFolder('/proc/tautnet/run')).rejects.toThrow(
      /^cannot create \/proc\/tautnet\/run: no such file or folder; check the path \(ENOENT\)$/,
    );
  });
});
