/**
 * The files of TinyImageNet, from its archive or from the folder it unpacks to:
 *
 * ```
 * wnids.txt                                 one class a line
 * train/<class>/images/*.JPEG
 * val/val_annotations.txt                   image, class and box a line, separated by tabs
 * val/images/*.JPEG
 * ```
 * Labels are the places of the classes in alphabetical order, as in the common loaders. The archive's own
 * test images have no published labels, so the validation images are the test set, as everywhere in the
 * field.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { toFileError } from '../../formats/file-error.js';
import { DataError } from '../data-error.js';
import { exists } from '../fetch/cache.js';

export const ARCHIVE = 'tiny-imagenet-200.zip';
const FOLDER = 'tiny-imagenet-200';
/** Above this an archive is not TinyImageNet (248 MB), and not held in memory. */
const LARGEST_ARCHIVE = 2 ** 30;

/** Files by path, wherever they are. */
export interface FileTree {
  /** What errors call it. */
  readonly place: string;
  /** Changes when the files do: the same fingerprint, the same images. */
  readonly fingerprint: string;
  /** Names in a folder of the tree; empty if it is not there. */
  list(folder: string): Promise<readonly string[]>;
  /** @throws DataError naming the file if it is not there */
  read(path: string): Promise<Uint8Array>;
}

export interface LabelledImage {
  readonly path: string;
  readonly label: number;
}

export interface ImageList {
  readonly train: readonly LabelledImage[];
  readonly test: readonly LabelledImage[];
}

/**
 * The tree in `folder`: the unpacked archive, in it or one level down, or the archive itself; undefined if
 * neither is there.
 */
export async function treeIn(folder: string): Promise<FileTree | undefined> {
  for (const place of [folder, join(folder, FOLDER)])
    if (await exists(join(place, 'wnids.txt'))) return folderTree(place);
  const archive = join(folder, ARCHIVE);
  return (await exists(archive)) ? archiveTree(archive) : undefined;
}

async function folderTree(place: string): Promise<FileTree> {
  const list = (folder: string): Promise<string[]> => readdir(join(place, folder)).catch(() => []);
  // Time and length of every folder of images: cheap, and changed by adding, removing or replacing one.
  const hash = createHash('sha256').update(place);
  const folders = ['val/images', ...(await list('train')).sort().map((name) => `train/${name}/images`)];
  for (const path of ['wnids.txt', 'val/val_annotations.txt', ...folders]) {
    const found = await stat(join(place, path)).catch(() => undefined);
    hash.update(`${path} ${found?.size} ${found?.mtimeMs}\n`);
  }
  const read = async (path: string): Promise<Uint8Array> =>
    readFile(join(place, path)).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ENOENT'
        ? new DataError(`no ${path} in ${place}`)
        : toFileError(join(place, path), 'read', error);
    });
  return { place, fingerprint: hash.digest('hex').slice(0, 16), list, read };
}

async function archiveTree(place: string): Promise<FileTree> {
  const { size, mtimeMs } = await stat(place);
  const fingerprint = createHash('sha256').update(`${place} ${size} ${mtimeMs}`).digest('hex').slice(0, 16);
  const refuse = (reason: string) =>
    new DataError(`${place}: expected the whole archive of TinyImageNet, got ${reason}; get it again`);
  let contents: Promise<Map<string, Uint8Array>> | undefined;
  const unpack = async (): Promise<Map<string, Uint8Array>> => {
    if (size > LARGEST_ARCHIVE) throw refuse(`${size} bytes`);
    const bytes = await readFile(place).catch((error: unknown) => {
      throw toFileError(place, 'read', error);
    });
    // Loaded when there is an archive, not whenever the program starts.
    const { unzipSync } = await import('fflate');
    try {
      const wanted = ({ name, originalSize }: { name: string; originalSize: number }): boolean =>
        !name.endsWith('/') && !name.includes('/test/') && originalSize < 2 ** 24;
      const files = Object.entries(unzipSync(bytes, { filter: wanted }));
      return new Map(files.map(([name, content]) => [name.replace(`${FOLDER}/`, ''), content]));
    } catch (error) {
      throw refuse(`one that does not unpack (${(error as Error).message})`);
    }
  };
  const all = (): Promise<Map<string, Uint8Array>> => {
    contents ??= unpack();
    return contents;
  };
  let folders: Map<string, string[]> | undefined;
  return {
    place,
    fingerprint,
    async list(folder) {
      if (folders === undefined) {
        folders = new Map();
        for (const path of (await all()).keys()) {
          const slash = path.lastIndexOf('/');
          const parent = path.slice(0, Math.max(slash, 0));
          folders.set(parent, [...(folders.get(parent) ?? []), path.slice(slash + 1)]);
        }
      }
      return folders.get(folder) ?? [];
    },
    async read(path) {
      const content = (await all()).get(path);
      if (content === undefined) throw new DataError(`no ${path} in ${place}`);
      return content;
    },
  };
}

/**
 * The images of a tree and their labels, before any is read.
 * @param expected how many classes, training images per class and test images there are
 * @throws DataError naming the first class or file that is missing
 */
export async function imagesOf(
  tree: FileTree,
  expected: { classes: number; perClass: number; test: number },
): Promise<ImageList> {
  const lines = async (path: string) =>
    new TextDecoder()
      .decode(await tree.read(path))
      .split(/\r?\n/)
      .filter((line) => line !== '');
  const classes = (await lines('wnids.txt')).map((line) => line.trim()).sort();
  if (new Set(classes).size !== expected.classes || classes.length !== expected.classes)
    throw new DataError(
      `${tree.place}: expected ${expected.classes} classes in wnids.txt, got ${new Set(classes).size}; ` +
        'get it again',
    );
  const train: LabelledImage[] = [];
  for (const [label, name] of classes.entries()) {
    const folder = `train/${name}/images`;
    const images = (await tree.list(folder)).filter(isImage).sort(byNumber);
    if (images.length !== expected.perClass)
      throw new DataError(
        `${tree.place}: expected ${expected.perClass} images in ${folder}, got ${images.length}; unpack ` +
          'the archive again',
      );
    train.push(...images.map((image) => ({ path: `${folder}/${image}`, label })));
  }
  const labels = new Map(classes.map((name, label) => [name, label]));
  const annotations = 'val/val_annotations.txt';
  const test = (await lines(annotations)).map((line, i) => {
    const [image, name] = line.split('\t');
    const label = labels.get(name ?? '');
    if (image === undefined || label === undefined)
      throw new DataError(
        `${tree.place}: ${annotations}, line ${i + 1}: expected an image and a class of wnids.txt, got ` +
          `"${line.slice(0, 60)}"`,
      );
    return { path: `val/images/${image}`, label };
  });
  if (test.length !== expected.test)
    throw new DataError(
      `${tree.place}: expected ${expected.test} images in ${annotations}, got ${test.length}; unpack the ` +
        'archive again',
    );
  const there = new Set(await tree.list('val/images'));
  const missing = test.find(({ path }) => !there.has(path.slice('val/images/'.length)));
  if (missing !== undefined)
    throw new DataError(`no ${missing.path} in ${tree.place}; unpack the archive again`);
  return { train, test };
}

const isImage = (name: string): boolean => /\.jpe?g$/i.test(name);
/** n01443537_2.JPEG before n01443537_10.JPEG. */
const byNumber = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });
