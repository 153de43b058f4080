import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DataError } from '../data/data-error.js';
import { UsageError } from './errors.js';
import { readDataset } from './read-dataset.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-read-dataset-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a data set that cannot be read', () => {
  test.each(['mnist', 'fashion-mnist', 'cifar10', 'svhn', 'tiny-imagenet'])(
    '%s in a folder that the user names is a mistake of the user',
    async (name) => {
      for (const dataDir of [join(folder, 'nowhere'), folder])
        await expect(readDataset(name, { dataDir, cacheDir: folder })).rejects.toThrow(UsageError);
    },
  );

  test('a file that is a folder is a mistake of the user, in one line', async () => {
    const dataDir = join(folder, 'folders');
    for (const name of ['train-images', 'train-labels', 't10k-images', 't10k-labels'])
      await mkdir(join(dataDir, `${name}-idx${name.endsWith('images') ? 3 : 1}-ubyte`), { recursive: true });
    const failed = await readDataset('mnist', { dataDir }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(UsageError);
    expect((failed as Error).message).toMatch(
      /^cannot read .*train-images-idx3-ubyte: a folder is in its place; .*\(EISDIR\)$/,
    );
  });

  test('elsewhere could not be done, and is nobody’s mistake', async () => {
    const empty = join(folder, 'cache');
    await expect(readDataset('svhn', { cacheDir: empty, offline: true })).rejects.toThrow(DataError);
  });

  test('a cache that cannot be written is no mistake in the folder', async () => {
    const dataDir = join(folder, 'images');
    await mkdir(join(dataDir, 'val'), { recursive: true });
    await writeFile(join(dataDir, 'wnids.txt'), 'n0\n');
    const cacheDir = join(folder, 'file');
    await writeFile(cacheDir, '');
    await expect(readDataset('tiny-imagenet', { dataDir, cacheDir })).rejects.toMatchObject({
      name: 'FileError',
    });
  });
});
