import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FileError, writeFileAtomic } from './atomic-file.js';

/** What a write does when it fails half-way: writes a little, then throws. */
let failure: NodeJS.ErrnoException | undefined;
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  return {
    ...real,
    writeFile: async (...[path, data, options]: Parameters<typeof real.writeFile>) => {
      if (failure === undefined) return real.writeFile(path, data, options);
      await real.writeFile(path, 'hal');
      throw failure;
    },
  };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-atomic-'));
});
afterEach(async () => {
  failure = undefined;
  await rm(folder, { recursive: true });
});

describe('an atomic write', () => {
  it.skipIf(process.platform === 'win32')('goes into a device and never replaces it', async () => {
    await symlink('/dev/null', join(folder, 'sink'));
    await writeFileAtomic(join(folder, 'sink'), 'gone');
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
    expect(await readdir(folder)).toEqual(['sink']);
  });

  it('writes text and bytes whole and leaves nothing else behind', async () => {
    await writeFileAtomic(join(folder, 'text'), 'σ = 0.01\n');
    await writeFileAtomic(join(folder, 'bytes'), new Uint8Array([9, 0, 255, 10]).subarray(1));
    expect(await readFile(join(folder, 'text'), 'utf8')).toBe('σ = 0.01\n');
    expect([...(await readFile(join(folder, 'bytes')))]).toEqual([0, 255, 10]);
    expect((await readdir(folder)).sort()).toEqual(['bytes', 'text']);
  });

  it('replaces a longer file by a shorter one and keeps its permissions', async () => {
    const path = join(folder, 'file');
    await writeFile(path, 'a longer text');
    await chmod(path, 0o640);
    await writeFileAtomic(path, 'short');
    expect(await readFile(path, 'utf8')).toBe('short');
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it('leaves one of several simultaneous writes, whole', async () => {
    const path = join(folder, 'file');
    const texts = Array.from({ length: 8 }, (_, i) => String(i).repeat(1000 * (i + 1)));
    await Promise.all(texts.map((text) => writeFileAtomic(path, text)));
    expect(texts).toContain(await readFile(path, 'utf8'));
    expect(await readdir(folder)).toEqual(['file']);
  });

  it.each([
    ['ENOSPC', 'the disk is full'],
    ['EACCES', 'permission denied'],
  ])(
    'that fails half-way with %s keeps the old file and says which file and why in one line',
    async (code, reason) => {
      const path = join(folder, 'checkpoint');
      await writeFileAtomic(path, 'old');
      failure = Object.assign(new Error(`${code}: something\nlow-level`), { code });
      const error = await writeFileAtomic(path, 'new').then(
        () => undefined,
        (thrown: unknown) => thrown as FileError,
      );
      expect(error).toBeInstanceOf(FileError);
      expect(error).toMatchObject({ path, code, cause: failure });
      expect(error?.message).toContain(`cannot write ${path}: ${reason}`);
      expect(error?.message).not.toContain('\n');
      expect(await readFile(path, 'utf8')).toBe('old');
      expect(await readdir(folder)).toEqual(['checkpoint']);
    },
  );

  it('names the path when the folder is missing or a folder is in the way', async () => {
    await expect(writeFileAtomic(join(folder, 'none', 'file'), 'x')).rejects.toThrow(
      /cannot write .*none.file: no such file or folder.*ENOENT/,
    );
    await mkdir(join(folder, 'taken'));
    await expect(writeFileAtomic(join(folder, 'taken'), 'x')).rejects.toThrow(FileError);
    expect(await readdir(folder)).toEqual(['taken']);
  });
});

it('the file that an open output writes to is written where the output stands, not replaced', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tautnet-output-'));
  const path = join(directory, 'stdout.txt');
  const output = await open(path, 'w');
  try {
    await output.write('before\n');
    await writeFileAtomic(path, 'result\n', [output.fd]);
    await output.write('after\n');
    expect(await readFile(path, 'utf8')).toBe('before\nresult\nafter\n');
  } finally {
    await output.close();
    await rm(directory, { recursive: true });
  }
});
