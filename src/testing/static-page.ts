/** The static page built and served as any host would, and questions to its workers from within a browser. */
import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import type { LookAnswer } from '../insight/dashboard/answers.js';
import { type LocalServer, localServer } from './local-server.js';
import { ROOT } from './tautnet-process.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
};
/** Files that a browser fetches only where it has an adapter for WebGPU. */
export const ON_GRAPHICS = /-gpu-/;

/** Builds the page into a folder. @returns the names of its files */
export async function buildPage(site: string): Promise<readonly string[]> {
  const built = spawnSync(process.execPath, [join('scripts', 'bundle-page.mjs'), '--out', site], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect([built.status, built.stderr]).toEqual([0, '']);
  return readdir(site);
}

/** Serves a page below a path, `/some/path/`, as hosts of many sites do; some files may be spoiled. */
export const servePage = (
  site: string,
  isSpoiled: (name: string) => boolean = () => false,
): Promise<LocalServer> =>
  localServer(async (request, response) => {
    const name = /^\/some\/path\/([\w.-]*)(\?.*)?$/.exec(request.url ?? '')?.[1];
    const path = name === undefined ? undefined : join(site, name || 'index.html');
    const content = path && (await readFile(path).catch(() => undefined));
    if (!content) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream');
    response.end(isSpoiled(name as string) ? Buffer.concat([content, Buffer.from('\n')]) : content);
  });

/** What a worker of the page is asked, and which worker. */
export interface Asked {
  readonly images: readonly number[];
  readonly relaxation: string;
  /** Default 0.1. */
  readonly epsilon?: number;
  readonly worker: string;
  readonly engine: string;
  readonly device: 'cpu' | 'webgpu';
}

export const looksOf = async (page: Page, asked: Asked): Promise<LookAnswer[]> =>
  (await page.evaluate(`(${LOOKS})(${JSON.stringify(asked)})`)) as LookAnswer[];

/** The files of a device's worker. */
export function workerOf(
  names: readonly string[],
  device: 'cpu' | 'webgpu',
): Pick<Asked, 'worker' | 'engine' | 'device'> {
  const [own = 'worker.js', engine = 'engine.gz.bin'] =
    device === 'cpu'
      ? []
      : ['worker', 'engine'].map((kind) => names.find((name) => name.startsWith(`${kind}-gpu-`)));
  return { worker: own, engine, device };
}

/** Asks a worker of the page for bounds, as numbers. */
const LOOKS = `async ({ images, relaxation, epsilon = 0.1, worker: file, engine, device }) => {
  const unpacked = async (name) => {
    const { body } = await fetch(name);
    return new Response(body.pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
  };
  const worker = new Worker(file, { type: 'module' });
  const digits = new Uint8Array(await unpacked('digits.gz.bin'));
  worker.postMessage({ engine: await unpacked(engine), digits, device });
  const ask = (question) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data: { problem, answer } }) =>
        problem ? reject(new Error(problem)) : resolve(answer);
      worker.postMessage({ id: 0, question });
    });
  const bytes = new Uint8Array(await (await fetch('network.onnx')).arrayBuffer());
  await ask({ kind: 'open', name: 'network.onnx', bytes });
  const looks = [];
  for (const image of images)
    looks.push(await ask({ kind: 'look', digit: { image }, epsilon, relaxations: [relaxation] }));
  worker.terminate();
  return looks;
}`;
