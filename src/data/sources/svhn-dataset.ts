/**
 * SVHN from its two MAT-files, each with X [32, 32, 3, count] (row, column, colour, image; column-major) and
 * y [count, 1], in which the digit 0 is written as 10. From the user's folder, the cache, or the authors'
 * server.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toFileError } from '../../formats/file-error.js';
import { FormatError } from '../../formats/format-error.js';
import { decodeMat5, type Mat5Array } from '../../formats/mat5.js';
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
import { cacheDirectory, exists } from '../fetch/cache.js';
import { download, type WebFile } from '../fetch/download.js';
import { checkMeans } from '../statistics.js';

type MatFile = WebFile & { readonly name: string; readonly sha256: string };

export interface SvhnDescription extends DatasetDescription {
  readonly files: { readonly train: MatFile; readonly test: MatFile };
}

/** Largest difference of a channel's mean, in [0, 1], from the published one, which has four digits. */
const MEAN_TOLERANCE = 1e-4;

/** The data set that a description describes. */
export function svhnDataset(description: SvhnDescription): DatasetSource {
  const { files, ...rest } = description;
  const { name } = description;
  const fetch = async (options: FetchOptions = {}): Promise<string> => {
    const folder = join(options.cacheDir ?? cacheDirectory(), name);
    for (const file of [files.train, files.test]) {
      const path = join(folder, file.name);
      const there =
        (await exists(path)) && (await verified(path, file, '').catch(() => undefined)) !== undefined;
      if (!there) await download(file, path, options).catch(advised);
    }
    return folder;
  };
  const advised = (error: unknown): never => {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(
      `${error.message}; or put ${files.train.name} and ${files.test.name} into a folder and name it ` +
        'with --data-dir',
      { cause: error },
    );
  };
  const locate = async (options: DataOptions): Promise<{ folder: string; remedy: string }> => {
    const { dataDir, offline = false } = options;
    if (dataDir !== undefined) {
      return {
        folder: dataDir,
        remedy:
          `put the original ${name} files there, or leave --data-dir out and run: tautnet data ` +
          `fetch ${name}`,
      };
    }
    const folder = join(options.cacheDir ?? cacheDirectory(), name);
    const remedy = `delete it and run: tautnet data fetch ${name}`;
    const there =
      (await exists(join(folder, files.train.name))) && (await exists(join(folder, files.test.name)));
    if (there) return { folder, remedy };
    if (offline)
      throw new DataError(
        `${name} is not in ${folder} and downloads are off; run: tautnet data fetch ${name}, or name a ` +
          'folder with its files (--data-dir)',
      );
    return { folder: await fetch(options), remedy };
  };
  const load = async (options: DataOptions = {}): Promise<Dataset> => {
    const { folder, remedy } = await locate(options);
    const split = async (part: 'train' | 'test'): Promise<Split> => {
      const path = join(folder, files[part].name);
      if (!(await exists(path))) throw new DataError(`no ${files[part].name} in ${folder}; ${remedy}`);
      const read = splitOf(await verified(path, files[part], remedy), description.shape, path);
      checkSplit(read, description, `${name} ${part === 'train' ? 'training' : 'test'} set`);
      return read;
    };
    const dataset = { ...rest, train: await split('train'), test: await split('test') };
    checkMeans(dataset, MEAN_TOLERANCE, remedy);
    return dataset;
  };
  return { ...rest, folderHolds: `${files.train.name} and ${files.test.name}`, load, fetch };
}

/** The bytes of a file, which must be the published ones. */
async function verified(path: string, { sha256, bytes }: MatFile, remedy: string): Promise<Uint8Array> {
  const content = await readFile(path).catch((error: unknown) => {
    throw toFileError(path, 'read', error);
  });
  if (bytes !== undefined && content.length !== bytes)
    throw new DataError(`${path}: expected ${bytes} bytes, got ${content.length}; ${remedy}`);
  const got = createHash('sha256').update(content).digest('hex');
  if (got !== sha256) throw new DataError(`${path}: expected SHA-256 ${sha256}, got ${got}; ${remedy}`);
  return content;
}

function splitOf(bytes: Uint8Array, shape: ImageShape, path: string): Split {
  const arrays = decodeMat5(bytes, path);
  const [channels, height, width] = shape;
  const pixels = variable(arrays, 'X', path);
  const digits = variable(arrays, 'y', path);
  const count = pixels.shape[3] ?? 1;
  const expected = [height, width, channels];
  if (
    !(pixels.data instanceof Uint8Array) ||
    expected.some((extent, axis) => pixels.shape[axis] !== extent) ||
    pixels.shape.length > 4
  )
    throw new FormatError(
      `${path}: expected X to be unsigned bytes of shape [${expected.join(',')},count], got shape ` +
        `[${pixels.shape.join(',')}]`,
    );
  if (digits.data.length !== count)
    throw new FormatError(`${path}: expected ${count} labels in y, one per image, got ${digits.data.length}`);
  const wrong = digits.data.findIndex((digit: number) => !(digit >= 1 && digit <= 10));
  if (wrong !== -1)
    throw new DataError(`${path}: expected labels from 1 to 10, got ${digits.data[wrong]} at index ${wrong}`);
  return {
    images: planes(pixels.data, count, shape),
    labels: Uint8Array.from(digits.data as ArrayLike<number>, (digit) => digit % 10),
    count,
  };
}

function variable(arrays: ReadonlyMap<string, Mat5Array>, name: string, path: string): Mat5Array {
  const array = arrays.get(name);
  if (array === undefined)
    throw new FormatError(
      `${path}: expected a numeric array ${name}, got ${[...arrays.keys()].join(', ') || 'none'}`,
    );
  return array;
}

/** From [row, column, colour, image], the first fastest, to images of colour planes in rows. */
function planes(data: Uint8Array, count: number, shape: ImageShape): Uint8Array {
  const [channels, height, width] = shape;
  const features = featuresOf(shape);
  const images = allocateImages(count, shape);
  for (let image = 0; image < count; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const plane = image * features + channel * height * width;
      for (let x = 0; x < width; x++)
        for (let y = 0; y < height; y++)
          images[plane + y * width + x] = data[plane + x * height + y] as number;
    }
  }
  return images;
}
