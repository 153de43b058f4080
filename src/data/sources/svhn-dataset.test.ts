import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileServer } from '../../testing/local-server.js';
import { mat5File, matrixElement } from '../../testing/mat5.js';
import type { ImageShape } from '../dataset.js';
import { pixelStatistics } from '../statistics.js';
import { type SvhnDescription, svhnDataset } from './svhn-dataset.js';

/** The same with images of 2×3 pixels. */
const shape: ImageShape = [3, 2, 3];
const value = (image: number, channel: number, y: number, x: number) =>
  (image * 71 + channel * 29 + y * 13 + x * 5) % 256;
/** X[row, column, colour, image], the first index fastest. */
function matrix(images: number): Uint8Array {
  const data = new Uint8Array(images * 18);
  for (let n = 0; n < images; n++)
    for (let c = 0; c < 3; c++)
      for (let x = 0; x < 3; x++)
        for (let y = 0; y < 2; y++) data[y + 2 * (x + 3 * (c + 3 * n))] = value(n, c, y, x);
  return data;
}
const file = (
  digits: readonly number[],
  X = matrix(digits.length),
  extents: readonly number[] = [2, 3, 3, digits.length],
) =>
  mat5File(
    matrixElement('X', extents, X, { compressed: true }),
    matrixElement('y', [digits.length, 1], Uint8Array.from(digits), { compressed: true }),
  );
const planes = (images: number) =>
  Array.from({ length: images * 18 }, (_, i) =>
    value(Math.floor(i / 18), Math.floor((i % 18) / 6), Math.floor((i % 6) / 3), i % 3),
  );

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
function description(train: Buffer, test: Buffer, url = 'http://127.0.0.1:9'): SvhnDescription {
  const published = (name: string, bytes: Buffer) => ({
    name,
    url: `${url}/${name}`,
    bytes: bytes.length,
    sha256: sha256(bytes),
  });
  return {
    name: 'numbers',
    classes: 10,
    shape,
    ...pixelStatistics({ images: Uint8Array.from(planes(4)), count: 4 }, shape),
    files: { train: published('train_32x32.mat', train), test: published('test_32x32.mat', test) },
  };
}
const [train, test] = [file([1, 10, 3, 9]), file([10, 2])];

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tautnet-svhn-'));
});
afterEach(() => rm(root, { recursive: true }));

async function folderWith(files: Readonly<Record<string, Buffer>>): Promise<string> {
  const folder = join(root, 'files');
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
  return folder;
}

describe('SVHN', () => {
  it('is read from its MAT-files: images in planes of rows, the digit 0, written 10, as 0', async () => {
    const dataset = await svhnDataset(description(train, test)).load({
      dataDir: await folderWith({ 'train_32x32.mat': train, 'test_32x32.mat': test }),
    });
    expect([...dataset.train.images]).toEqual(planes(4));
    expect([...dataset.train.labels]).toEqual([1, 0, 3, 9]);
    expect([...dataset.test.labels]).toEqual([0, 2]);
  });

  it('is downloaded into the cache, and then needs no network', async () => {
    const server = await fileServer({ 'train_32x32.mat': train, 'test_32x32.mat': test });
    const cacheDir = join(root, 'cache');
    const dataset = await svhnDataset(description(train, test, server.url)).load({ cacheDir });
    await server.close();
    expect(await svhnDataset(description(train, test)).load({ cacheDir, offline: true })).toEqual(dataset);
  });

  it('says in one line what is missing, cut short or cannot be reached', async () => {
    const source = svhnDataset(description(train, test));
    await expect(source.load({ dataDir: await folderWith({ 'train_32x32.mat': train }) })).rejects.toThrow(
      /^no test_32x32\.mat in .*; put the original numbers files there/,
    );
    await expect(
      source.load({ dataDir: await folderWith({ 'train_32x32.mat': train.subarray(0, 200) }) }),
    ).rejects.toThrow(`train_32x32.mat: expected ${train.length} bytes, got 200; put the original`);
    await expect(source.fetch({ cacheDir: join(root, 'cache') })).rejects.toThrow(
      /^cannot download http:.*; or put train_32x32\.mat and test_32x32\.mat into a folder and name it with --data-dir$/,
    );
  });

  it.each([
    ['a label that is no digit', file([1, 11, 3, 9]), 'expected labels from 1 to 10, got 11 at index 1'],
    [
      'images of another shape',
      file([1, 2, 3, 4], new Uint8Array(4 * 18), [3, 2, 3, 4]),
      'expected X to be unsigned bytes of shape [2,3,3,count], got shape [3,2,3,4]',
    ],
    [
      'labels that are not as many',
      mat5File(
        matrixElement('X', [2, 3, 3, 4], matrix(4)),
        matrixElement('y', [3, 1], Uint8Array.of(1, 2, 3)),
      ),
      'expected 4 labels in y',
    ],
    [
      'no images',
      mat5File(matrixElement('y', [1, 1], Uint8Array.of(1))),
      'expected a numeric array X, got y',
    ],
  ])('refuses %s', async (_, bytes, message) => {
    const dataDir = await folderWith({ 'train_32x32.mat': bytes, 'test_32x32.mat': test });
    await expect(svhnDataset(description(bytes, test)).load({ dataDir })).rejects.toThrow(message);
  });
});
