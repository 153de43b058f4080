/** The dashboard over HTTP. */
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Failure } from '../../experiment/errors.js';
import { toFileError } from '../../formats/file-error.js';
import { compiledUrl } from '../../runtime/compiled-file.js';
import { createDashboard, type PageFiles } from './app.js';
import { RunIndex } from './run-index.js';

const TYPES = {
  'index.html': 'text/html; charset=utf-8',
  'app.js': 'text/javascript; charset=utf-8',
  'style.css': 'text/css; charset=utf-8',
} as const;

export interface ServeOptions {
  /** Folder of runs. */
  readonly folder: string;
  /** 127.0.0.1 unless told otherwise. */
  readonly host?: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Folder with the files of data sets (default: that of each run). */
  readonly dataDir?: string;
}

export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

/** The built page. @throws FileError where `npm run build` has not made it */
async function pageFiles(): Promise<PageFiles> {
  const names = Object.keys(TYPES) as (keyof typeof TYPES)[];
  const files = names.map(async (name) => {
    const url = compiledUrl(`insight/dashboard/page/${name}`);
    const body = await readFile(url).catch((error: unknown) => {
      throw toFileError(url.pathname, 'read', error);
    });
    return [name, { type: TYPES[name], body: new Uint8Array(body) }] as const;
  });
  return Object.fromEntries(await Promise.all(files));
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);

/**
 * Serves the runs of a folder until it is closed.
 * @throws UsageError for a folder that is none; Failure for a port in use or an address that is not here
 */
export async function serveDashboard(options: ServeOptions): Promise<Served> {
  const { folder, host = '127.0.0.1', port, dataDir } = options;
  const index = await RunIndex.open(folder);
  const hosts = isLoopback(host) ? ['localhost', '127.0.0.1', '[::1]', host] : undefined;
  const dashboard = createDashboard({ index, files: await pageFiles(), dataDir, hosts });
  const server = createAdaptorServer({ fetch: dashboard.app.fetch });
  await new Promise<void>((done, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) => failed(whyNot(error, host, port)));
    server.listen(port, host, done);
  });
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}/`,
    async close() {
      const closed = new Promise((done) => server.close(done));
      if ('closeAllConnections' in server) server.closeAllConnections();
      await closed;
      await dashboard.close();
    },
  };
}

function whyNot(error: NodeJS.ErrnoException, host: string, port: number): Failure {
  const expected = `expected to listen on ${host}, port ${port}`;
  const cause = { cause: error };
  if (error.code === 'EADDRINUSE')
    return new Failure(`${expected}, it is in use; choose another with --port, 0 for any`, cause);
  if (error.code === 'EACCES')
    return new Failure(`${expected}, that is not allowed; choose one above 1023 with --port`, cause);
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND')
    return new Failure(`${expected}, this machine has no such address; check --host`, cause);
  return new Failure(`${expected}, got ${error.message}`, cause);
}
