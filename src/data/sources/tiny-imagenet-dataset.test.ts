import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { zipSync } from 'fflate';
import jpeg from 'jpeg-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileServer } from '../../testing/local-server.js';
import type { ImageShape } from '../dataset.js';
import { type TinyImageNetDescription, tinyImageNetDataset } from './tiny-imagenet-dataset.js';

/**
 * The same with 2 classes of 11 training images and 3 test images of 16×16 pixels, each of one colour, which
 * JPEG keeps but for rounding.
 */
const shape: ImageShape = [3, 16, 16];
const wnids = ['n02', 'n01'];
const colour = (seed: number): [number, number, number] => [
  (seed * 53) % 256,
  (seed * 31 + 40) % 256,
  (seed * 97 + 90) % 256,
];
function jpegOf(seed: number, side = 16): Uint8Array {
  const data = Buffer.alloc(side * side * 4);
  for (let pixel = 0; pixel < side * side; pixel++) data.set([...colour(seed), 255], pixel * 4);
  return new Uint8Array(jpeg.encode({ data, width: side, height: side }, 100).data);
}
const text = (value: string) => new Uint8Array(Buffer.from(value));
function originalFiles(): Record<string, Uint8Array> {
  const all: Record<string, Uint8Array> = { 'wnids.txt': text(`${wnids.join('\n')}\n`) };
  for (const [c, name] of wnids.entries()) {
    all[`train/${name}/${name}_boxes.txt`] = text('');
    for (let i = 0; i < 11; i++) all[`train/${name}/images/${name}_${i}.JPEG`] = jpegOf(20 * c + i);
  }
  all['val/val_annotations.txt'] = text(
    'val_0.JPEG\tn02\t0\t0\t1\t1\nval_1.JPEG\tn01\t0\t0\t1\t1\nval_2.JPEG\tn01\t0\t0\t1\t1\n',
  );
  for (let i = 0; i < 3; i++) all[`val/images/val_${i}.JPEG`] = jpegOf(100 + i);
  return all;
}
const ORIGINAL = originalFiles();
const files = (): Record<string, Uint8Array> => ({ ...ORIGINAL });
const zipped = (of: Record<string, Uint8Array>) =>
  zipSync(
    Object.fromEntries(Object.entries(of).map(([path, bytes]) => [`tiny-imagenet-200/${path}`, bytes])),
  );

/** Seeds of the training images in the order of labels: n01 before n02, 2 before 10. */
const seeds = [...Array.from({ length: 11 }, (_, i) => 20 + i), ...Array.from({ length: 11 }, (_, i) => i)];
const mean = [0, 1, 2].map(
  (channel) => seeds.reduce((sum, seed) => sum + (colour(seed)[channel] as number), 0) / seeds.length / 255,
);
const description = (url = 'http://127.0.0.1:9'): TinyImageNetDescription => ({
  name: 'tiny',
  classes: 2,
  shape,
  mean,
  std: [0.25, 0.25, 0.25],
  archive: { url: `${url}/tiny-imagenet-200.zip` },
  perClass: 11,
  testImages: 3,
  meanTolerance: 0.01,
});
const source = tinyImageNetDataset(description());

let root: string;
let cacheDir: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tautnet-tiny-'));
  cacheDir = join(root, 'cache');
});
afterEach(() => rm(root, { recursive: true }));

async function folderWith(of: Record<string, Uint8Array>, name = 'files'): Promise<string> {
  for (const [path, bytes] of Object.entries(of)) {
    await mkdir(dirname(join(root, name, path)), { recursive: true });
    await writeFile(join(root, name, path), bytes);
  }
  return join(root, name);
}
const near = (pixels: Uint8Array, seeds: readonly number[]) => {
  const expected = seeds.flatMap((seed) => colour(seed).flatMap((byte) => Array<number>(256).fill(byte)));
  expect(pixels.length).toBe(expected.length);
  expect(Math.max(...expected.map((byte, i) => Math.abs(byte - (pixels[i] as number))))).toBeLessThanOrEqual(
    3,
  );
};

describe('TinyImageNet', () => {
  it('is read from its folder: planes of colours, classes in alphabetical order, the validation images as test set', async () => {
    const { train, test } = await source.load({ dataDir: await folderWith(files()), cacheDir });
    near(train.images, seeds);
    expect([...train.labels]).toEqual([...Array(11).fill(0), ...Array(11).fill(1)]);
    near(test.images, [100, 101, 102]);
    expect([...test.labels]).toEqual([1, 0, 0]);
  });

  it('is the same from the archive, from a folder one level up, and the second time', async () => {
    const dataset = await source.load({ dataDir: await folderWith(files()), cacheDir });
    expect(
      await source.load({
        dataDir: await folderWith({ 'tiny-imagenet-200.zip': zipped(files()) }, 'zip'),
        cacheDir,
      }),
    ).toEqual(dataset);
    const above = Object.fromEntries(
      Object.entries(files()).map(([path, bytes]) => [`tiny-imagenet-200/${path}`, bytes]),
    );
    expect(await source.load({ dataDir: await folderWith(above, 'above'), cacheDir })).toEqual(dataset);
    const decoded: string[] = [];
    const again = await source.load({
      dataDir: join(root, 'files'),
      cacheDir,
      progress: ({ file }) => decoded.push(file),
    });
    expect(again).toEqual(dataset);
    expect(decoded).toEqual([]);
  });

  it('is decoded again when the folder has changed', async () => {
    const dataDir = await folderWith(files());
    await source.load({ dataDir, cacheDir });
    await rm(join(dataDir, 'train/n01/images/n01_3.JPEG'));
    await expect(source.load({ dataDir, cacheDir })).rejects.toThrow(
      'expected 11 images in train/n01/images, got 10; unpack the archive again',
    );
    await folderWith({
      'val/val_annotations.txt': text('val_0.JPEG\tn01\nval_1.JPEG\tn01\nval_2.JPEG\tn01\n'),
      'train/n01/images/n01_3.JPEG': jpegOf(23),
    });
    const folder = join(dataDir, 'val/val_annotations.txt');
    await utimes(folder, new Date(), new Date((await stat(folder)).mtimeMs + 5000));
    expect([...(await source.load({ dataDir, cacheDir })).test.labels]).toEqual([0, 0, 0]);
  });

  it('is decoded again where the copies in the cache are of another decoder, which then go', async () => {
    const dataDir = await folderWith(files());
    const dataset = await source.load({ dataDir, cacheDir });
    const folder = join(cacheDir, (await readdir(cacheDir))[0] as string);
    const names = await readdir(folder);
    for (const name of names) await rename(join(folder, name), join(folder, name.replace('.libjpeg.', '.')));
    expect(await source.load({ dataDir, cacheDir })).toEqual(dataset);
    expect(await readdir(folder)).toEqual(names);
  });

  it('is downloaded, decoded with progress, and kept as bytes, without the archive', async () => {
    const server = await fileServer({ 'tiny-imagenet-200.zip': zipped(files()) });
    const states: { file: string; received: number }[] = [];
    const folder = await tinyImageNetDataset(description(server.url)).fetch({
      cacheDir,
      progress: ({ file, received }) => states.push({ file, received }),
    });
    await server.close();
    expect(states.at(-1)).toEqual({ file: 'decoded', received: 25 });
    expect((await readdir(folder)).sort()).toEqual([
      'test-images.libjpeg.idx',
      'test-labels.libjpeg.idx',
      'train-images.libjpeg.idx',
      'train-labels.libjpeg.idx',
    ]);
    expect((await source.load({ cacheDir, offline: true })).train.count).toBe(22);
    await expect(source.load({ cacheDir: join(root, 'none'), offline: true })).rejects.toThrow(
      'run: tautnet data fetch tiny',
    );
  });

  it.each([
    [
      'a class without images',
      (all: Record<string, Uint8Array>) =>
        Object.fromEntries(Object.entries(all).filter(([path]) => !path.startsWith('train/n02/images'))),
      'expected 11 images in train/n02/images, got 0; unpack',
    ],
    [
      'a class too few',
      (all: Record<string, Uint8Array>) => ({ ...all, 'wnids.txt': text('n01\n') }),
      'expected 2 classes in wnids.txt, got 1; get it again',
    ],
    [
      'an image that is none',
      (all: Record<string, Uint8Array>) => ({ ...all, 'train/n01/images/n01_4.JPEG': text('no image') }),
      'train/n01/images/n01_4.JPEG: expected a JPEG image of 16×16 pixels, got 8 bytes that cannot be decoded',
    ],
    [
      'an image that breaks off',
      (all: Record<string, Uint8Array>) => ({ ...all, 'val/images/val_1.JPEG': jpegOf(1).subarray(0, 300) }),
      'val/images/val_1.JPEG: expected a JPEG image',
    ],
    [
      'an image of another size',
      (all: Record<string, Uint8Array>) => ({ ...all, 'val/images/val_1.JPEG': jpegOf(1, 24) }),
      'got one of 24×24',
    ],
    [
      'a label that is no class',
      (all: Record<string, Uint8Array>) => ({ ...all, 'val/val_annotations.txt': text('val_0.JPEG\tn09\n') }),
      'val_annotations.txt, line 1: expected an image and a class of wnids.txt',
    ],
    [
      'no annotations',
      (all: Record<string, Uint8Array>) =>
        Object.fromEntries(Object.entries(all).filter(([path]) => path !== 'val/val_annotations.txt')),
      'no val/val_annotations.txt in',
    ],
    [
      'a test image too few',
      (all: Record<string, Uint8Array>) =>
        Object.fromEntries(Object.entries(all).filter(([path]) => path !== 'val/images/val_2.JPEG')),
      'no val/images/val_2.JPEG in',
    ],
    [
      'other pixels',
      (all: Record<string, Uint8Array>) =>
        Object.fromEntries(
          Object.entries(all).map(([path, bytes]) => [
            path,
            path.startsWith('train') && path.endsWith('JPEG') ? jpegOf(0) : bytes,
          ]),
        ),
      'expected channel means',
    ],
  ])('with %s is refused in one line that names it', async (_, change, message) => {
    await expect(source.load({ dataDir: await folderWith(change(files())), cacheDir })).rejects.toThrow(
      message,
    );
  });

  it('in an archive that breaks off, or in a folder without it, is refused', async () => {
    const whole = zipped(files());
    await expect(
      source.load({
        dataDir: await folderWith({ 'tiny-imagenet-200.zip': whole.subarray(0, whole.length - 100) }),
        cacheDir,
      }),
    ).rejects.toThrow(
      /tiny-imagenet-200\.zip: expected the whole archive of TinyImageNet, got one that does not unpack/,
    );
    await expect(source.load({ dataDir: root, cacheDir })).rejects.toThrow(
      /^no wnids\.txt, no tiny-imagenet-200 and no tiny-imagenet-200\.zip in /,
    );
    await expect(source.fetch({ cacheDir })).rejects.toThrow(
      /^cannot download .*; or put tiny-imagenet-200\.zip into a folder and name it with --data-dir$/,
    );
    expect(await readdir(join(cacheDir, 'tiny')).catch(() => [])).toEqual([]);
  });

  it('cut short in the cache is refused with what to do', async () => {
    const folder = join(cacheDir, 'tiny');
    await source.load({ dataDir: await folderWith(files()), cacheDir });
    const own = (await readdir(cacheDir))[0] as string;
    await mkdir(folder, { recursive: true });
    for (const name of await readdir(join(cacheDir, own)))
      await writeFile(join(folder, name), (await readFile(join(cacheDir, own, name))).subarray(0, -1));
    await expect(source.load({ cacheDir, offline: true })).rejects.toThrow(
      /train-images\.libjpeg\.idx: expected 16916 bytes for IDX shape \[22,3,16,16\], got 16915 bytes; delete it and run: tautnet data fetch tiny$/,
    );
  });
});
