/** Servers on this machine for tests of downloads: plain files, and an npm registry of one package. */
import { createHash } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { NpmEnvironment } from '../data/fetch/npm-package.js';
import { tarOf } from './archives.js';

export interface LocalServer {
  readonly url: string;
  close(): Promise<void>;
}

export async function localServer(listener: RequestListener): Promise<LocalServer> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Serves contents by name, 404 for any other. */
export const fileServer = (files: Readonly<Record<string, Uint8Array>>): Promise<LocalServer> =>
  localServer((request, response) => {
    const content = files[(request.url ?? '').slice(1)];
    if (content === undefined) response.writeHead(404).end();
    else response.end(content);
  });

/** A registry that carries `name`@1.0.0 with these files, and the npm settings that lead to it. */
export async function localRegistry(
  name: string,
  files: Readonly<Record<string, Uint8Array>>,
  cache: string,
): Promise<{ server: LocalServer; settings: () => Promise<NpmEnvironment> }> {
  const contents = { 'package.json': Buffer.from(JSON.stringify({ name, version: '1.0.0' })), ...files };
  const archive = gzipSync(
    tarOf(Object.fromEntries(Object.entries(contents).map(([path, bytes]) => [`package/${path}`, bytes]))),
  );
  const server: LocalServer = await localServer((request, response) => {
    if (request.url?.endsWith('.tgz')) return void response.end(archive);
    if (request.url !== `/${name}`) return void response.writeHead(404).end('{}');
    const dist = {
      tarball: `${server.url}/package.tgz`,
      integrity: `sha512-${createHash('sha512').update(archive).digest('base64')}`,
    };
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        name,
        'dist-tags': { latest: '1.0.0' },
        versions: { '1.0.0': { name, version: '1.0.0', dist } },
      }),
    );
  });
  return {
    server,
    settings: async () => npmAt(server.url, cache),
  };
}

/** The environment of an npm that is set to a registry on this machine, with a cache of its own. */
export const npmAt = (registry: string, cache: string): NpmEnvironment => ({
  ...process.env,
  npm_config_registry: registry,
  npm_config_noproxy: '127.0.0.1',
  npm_config_cache: cache,
  npm_config_update_notifier: 'false',
});
