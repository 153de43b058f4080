/**
 * TinyImageNet: decoded once, then read as bytes.
 *
 * 110,000 JPEG files take minutes to decode, so the pixels are kept in the cache as IDX files [count, C, H,
 * W]: of the downloaded archive under the data set's name, of a folder of the user under a fingerprint of
 * that folder.
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toFileError } from '../../formats/file-error.js';
import { FormatError } from '../../formats/format-error.js';
import { encodeIdx, type IdxArray, readIdx } from '../../formats/idx.js';
import type { JpegDecoder } from '../../formats/jpeg.js';
import { DataError } from '../data-error.js';
import {
  allocateImages,
  checkSplit,
  type DataOptions,
  type Dataset,
  type DatasetDescription,
  type DatasetSource,
  type FetchOptions,
  featuresOf,
  type ImageShape,
  type Split,
} from '../dataset.js';
import { cacheDirectory, exists, installFiles } from '../fetch/cache.js';
import { download, type WebFile } from '../fetch/download.js';
import { checkMeans } from '../statistics.js';
import { ARCHIVE, type FileTree, imagesOf, type LabelledImage, treeIn } from './tiny-imagenet-files.js';

export interface TinyImageNetDescription extends DatasetDescription {
  readonly archive: WebFile;
  /** Training images of each class. */
  readonly perClass: number;
  readonly testImages: number;
  /**
   * Largest difference of a channel's mean, in [0, 1]: no sum of the archive was published, and decoders
   * differ by rounding.
   */
  readonly meanTolerance: number;
}

const PARTS = ['train', 'test'] as const;

/** The data set that a description describes. */
export function tinyImageNetDataset(description: TinyImageNetDescription): DatasetSource {
  const {
    archive: _archive,
    perClass: _perClass,
    testImages: _testImages,
    meanTolerance,
    ...rest
  } = description;
  const { name } = description;
  const load = async (options: DataOptions = {}): Promise<Dataset> => {
    const cacheDir = options.cacheDir ?? cacheDirectory();
    const { dataDir } = options;
    const again = dataDir === undefined ? `run: tautnet data fetch ${name}` : `unpack ${ARCHIVE} there again`;
    const folder =
      dataDir === undefined
        ? await cachedFolder(options, cacheDir)
        : await decodedFolder(dataDir, cacheDir, options);
    const read = (part: 'train' | 'test') => readDecoded(folder, part, description, `delete it and ${again}`);
    const dataset = { ...rest, train: await read('train'), test: await read('test') };
    checkMeans(dataset, meanTolerance, again);
    return dataset;
  };
  const cachedFolder = async (options: DataOptions, cacheDir: string): Promise<string> => {
    const folder = join(cacheDir, name);
    if (await isDecoded(folder)) return folder;
    if (options.offline)
      throw new DataError(
        `${name} is not in ${folder} and downloads are off; run: tautnet data fetch ${name}, or name a ` +
          'folder with its files (--data-dir)',
      );
    return fetch(options);
  };
  const decodeInto = async (own: string, tree: FileTree, cacheDir: string, options: FetchOptions) => {
    const folder = await installFiles(cacheDir, own, (staging) =>
      decodeTree(tree, staging, description, options),
    );
    await removeOutdated(folder);
    return folder;
  };
  /** The user's folder may be read-only or shared: what is decoded from it goes to the cache. */
  const decodedFolder = async (dataDir: string, cacheDir: string, options: FetchOptions): Promise<string> => {
    const tree = await treeIn(dataDir);
    if (tree === undefined)
      throw new DataError(
        `no wnids.txt, no tiny-imagenet-200 and no ${ARCHIVE} in ${dataDir}; put the original ${name} ` +
          'files there, or leave --data-dir out',
      );
    const own = `${name}-${tree.fingerprint}`;
    const folder = join(cacheDir, own);
    return (await isDecoded(folder)) ? folder : decodeInto(own, tree, cacheDir, options);
  };
  const fetch = async (options: FetchOptions = {}): Promise<string> => {
    const cacheDir = options.cacheDir ?? cacheDirectory();
    const folder = join(cacheDir, name);
    if (await isDecoded(folder)) return folder;
    const archive = join(folder, ARCHIVE);
    if (!(await exists(archive))) {
      await download(description.archive, archive, options).catch((error: unknown) => {
        if (!(error instanceof DataError)) throw error;
        throw new DataError(`${error.message}; or put ${ARCHIVE} into a folder and name it with --data-dir`, {
          cause: error,
        });
      });
    }
    const tree = (await treeIn(folder)) as FileTree;
    await decodeInto(name, tree, cacheDir, options);
    await rm(archive, { force: true });
    return folder;
  };
  return { ...rest, folderHolds: `${ARCHIVE}, or the folder it unpacks to`, load, fetch };
}

/** Part of the names of decoded files: copies of another decoder have other pixels and are not read. */
const DECODER = 'libjpeg';

const fileNames = (part: 'train' | 'test') => ({
  images: `${part}-images.${DECODER}.idx`,
  labels: `${part}-labels.${DECODER}.idx`,
});

/** Deletes what an earlier version decoded into a folder. */
async function removeOutdated(folder: string): Promise<void> {
  for (const part of PARTS)
    for (const kind of ['images', 'labels']) await rm(join(folder, `${part}-${kind}.idx`), { force: true });
}

async function isDecoded(folder: string): Promise<boolean> {
  const names = PARTS.flatMap((part) => Object.values(fileNames(part)));
  return (await Promise.all(names.map((name) => exists(join(folder, name))))).every((there) => there);
}

/** Decodes all images of a tree into IDX files in `staging`. */
async function decodeTree(
  tree: FileTree,
  staging: string,
  { classes, perClass, testImages, shape }: TinyImageNetDescription,
  { progress, signal }: FetchOptions,
): Promise<{ path: string; name: string }[]> {
  // Loaded when there is something to decode, not whenever the program starts.
  const { jpegDecoder } = await import('../../formats/jpeg.js');
  const decode = await jpegDecoder();
  const list = await imagesOf(tree, { classes, perClass, test: testImages });
  const total = list.train.length + list.test.length;
  const files: { path: string; name: string }[] = [];
  let done = 0;
  for (const part of PARTS) {
    const images = new Uint8Array(list[part].length * featuresOf(shape));
    const labels = new Uint8Array(list[part].length);
    for (const [i, image] of list[part].entries()) {
      signal?.throwIfAborted();
      writePlanes(await decoded(tree, image, shape, decode), images, i * featuresOf(shape), shape);
      labels[i] = image.label;
      progress?.({ file: 'decoded', received: ++done, total, unit: 'images' });
    }
    const names = fileNames(part);
    const arrays: [string, IdxArray][] = [
      [names.images, { shape: [labels.length, ...shape], data: images }],
      [names.labels, { shape: [labels.length], data: labels }],
    ];
    for (const [name, array] of arrays) {
      const path = join(staging, name);
      await writeIdx(path, array);
      files.push({ path, name });
    }
  }
  return files;
}

async function decoded(
  tree: FileTree,
  { path }: LabelledImage,
  [, height, width]: ImageShape,
  decode: JpegDecoder,
): Promise<Uint8ClampedArray> {
  const bytes = await tree.read(path);
  const refuse = (got: string) =>
    new DataError(
      `${tree.place}: ${path}: expected a JPEG image of ${width}×${height} pixels, got ${got}; get the ` +
        'file again',
    );
  const image = await decode(bytes).catch((error: unknown) => {
    throw error instanceof FormatError ? refuse(error.message) : error;
  });
  if (image.width !== width || image.height !== height) throw refuse(`one of ${image.width}×${image.height}`);
  return image.data;
}

/** Interleaved red, green, blue and alpha to planes of colours. */
function writePlanes(
  pixels: Uint8ClampedArray,
  out: Uint8Array,
  start: number,
  [channels, height, width]: ImageShape,
): void {
  const area = height * width;
  for (let channel = 0; channel < channels; channel++)
    for (let pixel = 0; pixel < area; pixel++)
      out[start + channel * area + pixel] = pixels[pixel * 4 + channel] as number;
}

async function writeIdx(path: string, array: IdxArray): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'w');
    for (const part of encodeIdx(array)) await file.writeFile(part);
  } catch (error) {
    throw toFileError(path, 'write', error);
  } finally {
    await file?.close();
  }
}

async function readDecoded(
  folder: string,
  part: 'train' | 'test',
  description: TinyImageNetDescription,
  remedy: string,
): Promise<Split> {
  const names = fileNames(part);
  const read = (name: string) =>
    readIdx(join(folder, name)).catch((error: unknown) => {
      throw error instanceof FormatError
        ? new DataError(`${error.message}; ${remedy}`, { cause: error })
        : error;
    });
  const images = await read(names.images);
  const labels = await read(names.labels);
  const { shape, name } = description;
  const count = images.shape[0] as number;
  if (images.shape.slice(1).some((extent, axis) => extent !== shape[axis]) || images.shape.length !== 4)
    throw new DataError(
      `${join(folder, names.images)}: expected images of shape [${shape.join(',')}], got ` +
        `[${images.shape.slice(1).join(',')}]; ${remedy}`,
    );
  const shared = allocateImages(count, shape);
  shared.set(images.data);
  const split = { images: shared, labels: labels.data, count };
  checkSplit(split, description, `${name} ${part === 'train' ? 'training' : 'test'} set`);
  return split;
}
