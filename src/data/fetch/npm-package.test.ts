import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localRegistry, npmAt } from '../../testing/local-server.js';
import { extractPackage } from './npm-package.js';

const NAME = 'tautnet-test-package';
const of = { name: NAME, version: '1.0.0', folder: 'data' };
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-npm-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a package fetched by the user's own npm", () => {
  it('is unpacked from the registry that npm is set to', async () => {
    const { server, settings } = await localRegistry(
      NAME,
      { 'data/one': new TextEncoder().encode('one') },
      join(folder, 'cache'),
    );
    const place = await extractPackage(of, join(folder, 'out'), await settings()).finally(server.close);
    expect(await readFile(join(place, 'one'), 'utf8')).toBe('one');
  });

  it('is refused in one line where npm cannot be run', async () => {
    const failing = extractPackage(of, join(folder, 'out'), { PATH: '/nowhere' });
    await expect(failing).rejects.toThrow(
      /^cannot fetch tautnet-test-package@1\.0\.0 .*: npm cannot be run; install npm .*$/,
    );
  });

  it('is refused in one line where the computer is offline', async () => {
    const failing = extractPackage(of, join(folder, 'out'), npmAt('http://127.0.0.1:9/', folder));
    await expect(failing).rejects.toThrow(/^cannot fetch .* cannot be reached \(ECONNREFUSED\); is .*$/);
  });
});
