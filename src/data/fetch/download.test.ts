import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DownloadProgress, download } from './download.js';

const content = randomBytes(300_000);
const sha256 = createHash('sha256').update(content).digest('hex');

let folder: string;
let path: string;
let server: Server;
let url: string;
/** What the server was asked: the Range header of each request. */
let asked: (string | undefined)[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-download-'));
  path = join(folder, 'file.bin');
  asked = [];
  answer = served();
  server = createServer((request, response) => {
    asked.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.bin`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

/** A server that continues files, and breaks a connection off after `cut` bytes. */
function served({
  cut = Number.POSITIVE_INFINITY,
  etag = '"one"',
  bytes = content,
}: {
  cut?: number;
  etag?: string;
  bytes?: Uint8Array;
} = {}) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const current = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
    const start = range && current ? Number(range[1]) : 0;
    if (start >= bytes.length)
      return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    response.setHeader('etag', etag);
    response.setHeader('content-length', bytes.length - start);
    if (start > 0)
      response.writeHead(206, { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` });
    const sent = bytes.subarray(start, start + cut);
    if (sent.length < bytes.length - start)
      response.write(sent, () => setTimeout(() => response.destroy(), 20));
    else response.end(sent);
  };
}

describe('a download', () => {
  it('brings the file, and tells how far it is', async () => {
    const states: DownloadProgress[] = [];
    await download({ url, sha256 }, path, { progress: (state) => states.push(state) });
    expect((await readFile(path)).equals(content)).toBe(true);
    expect(states.at(-1)).toEqual({ file: 'file.bin', received: content.length, total: content.length });
    expect(states.every(({ received }, i) => received > (states[i - 1]?.received ?? 0))).toBe(true);
    expect(await readdir(folder)).toEqual(['file.bin']);
  });

  it('goes on where the connection was broken off, as often as it takes, and asks for the rest only', async () => {
    answer = served({ cut: 90_000 });
    await download({ url, bytes: content.length, sha256 }, path);
    expect((await readFile(path)).equals(content)).toBe(true);
    expect(asked).toEqual([undefined, 'bytes=90000-', 'bytes=180000-', 'bytes=270000-']);
  });

  it('goes on with what an earlier process left', async () => {
    await writeFile(`${path}.part`, content.subarray(0, 123_456));
    await download({ url, sha256 }, path);
    expect(asked).toEqual(['bytes=123456-']);
    expect((await readFile(path)).equals(content)).toBe(true);
  });

  it('asks for nothing when all is there but the name', async () => {
    await writeFile(`${path}.part`, content);
    await download({ url, bytes: content.length, sha256 }, path);
    expect(asked).toEqual([]);
    await writeFile(`${path}.part`, content);
    await download({ url, sha256 }, path);
    expect(asked).toEqual([`bytes=${content.length}-`]);
    expect((await readFile(path)).equals(content)).toBe(true);
  });

  it('begins again when the file on the server has changed meanwhile, or the server cannot continue', async () => {
    await writeFile(`${path}.part`, randomBytes(1000));
    await writeFile(`${path}.part.version`, '"zero"');
    await download({ url, sha256 }, path);
    expect((await readFile(path)).equals(content)).toBe(true);
    await rm(path);
    await writeFile(`${path}.part`, randomBytes(1000));
    answer = (_request, response) => void response.end(content);
    await download({ url, sha256 }, path);
    expect((await readFile(path)).equals(content)).toBe(true);
  });

  it('gives up after attempts that bring nothing, keeps what there is, and says so', async () => {
    answer = (request, response) =>
      request.headers.range ? void response.destroy() : served({ cut: 1000 })(request, response);
    await expect(download({ url, bytes: content.length }, path)).rejects.toThrow(
      /^cannot download http.*; 1000 of 300000 bytes are kept, run it again to go on from there$/,
    );
    expect(asked.length).toBe(4);
    answer = served();
    await download({ url, sha256 }, path);
    expect((await readFile(path)).equals(content)).toBe(true);
  });

  it('refuses another content or length than the published one, and keeps nothing of it', async () => {
    await expect(download({ url, sha256: sha256.replace(/./g, '0') }, path)).rejects.toThrow(
      `expected SHA-256 ${'0'.repeat(64)}, got ${sha256}; the file there`,
    );
    await expect(download({ url, bytes: 299_999, sha256 }, path)).rejects.toThrow(
      'expected 299999 bytes, got 300000',
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it('says in one line that the server has no such file, or that the computer is offline', async () => {
    answer = (_request, response) => void response.writeHead(404).end();
    await expect(download({ url }, path)).rejects.toThrow(
      `cannot download ${url}: the server answered 404 Not Found`,
    );
    expect(asked.length).toBe(1);
    const gone = 'http://127.0.0.1:9/file.bin';
    await expect(download({ url: gone }, path)).rejects.toThrow(
      /^cannot download http:\/\/127\.0\.0\.1:9\/file\.bin: .*/,
    );
    await expect(download({ url: 'http://nowhere.invalid/file.bin' }, path, { attempts: 1 })).rejects.toThrow(
      /cannot be reached \(E[A-Z_]+\); is the computer offline\?/,
    );
  });

  it('that two want at once is made once', async () => {
    await Promise.all([download({ url, sha256 }, path), download({ url, sha256 }, path)]);
    expect(asked).toEqual([undefined]);
    expect((await readFile(path)).equals(content)).toBe(true);
    expect(await readdir(folder)).toEqual(['file.bin']);
  });

  it('ends when it is told to, and keeps what it has brought', async () => {
    const controller = new AbortController();
    answer = (_request, response) => void response.write(content.subarray(0, 1000));
    const loading = download({ url }, path, {
      signal: controller.signal,
      progress: () => controller.abort(new Error('interrupted')),
    });
    await expect(loading).rejects.toThrow('interrupted');
    expect((await readFile(`${path}.part`)).equals(content.subarray(0, 1000))).toBe(true);
  });
});
