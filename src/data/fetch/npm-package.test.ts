import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { npmSettings } from './npm-package.js';

describe('npm settings', () => {
  it('are those of the user: .npmrc, and variables before it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tautnet-npm-'));
    try {
      const userconfig = join(folder, 'npmrc');
      const cafile = join(folder, 'ca.pem');
      await writeFile(cafile, 'certificate');
      await writeFile(
        userconfig,
        `registry=http://mirror.invalid/\nhttps-proxy=http://proxy.invalid:1/\nstrict-ssl=false\ncafile=${cafile}\ncache=${folder}\nfetch-retries=0\n`,
      );
      const { PATH } = process.env;
      const settings = await npmSettings({ PATH, npm_config_userconfig: userconfig });
      expect(settings).toMatchObject({
        registry: 'http://mirror.invalid/',
        httpsProxy: 'http://proxy.invalid:1/',
        strictSSL: false,
        fetchRetries: 0,
      });
      expect(settings).toMatchObject({ ca: 'certificate', cache: join(folder, '_cacache') });
      const overridden = await npmSettings({
        PATH,
        npm_config_userconfig: userconfig,
        npm_config_registry: 'http://other.invalid/',
      });
      expect(overridden.registry).toBe('http://other.invalid/');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('come from the variables alone where npm cannot be run', async () => {
    const settings = await npmSettings({
      PATH: '/nowhere',
      npm_config_registry: 'http://mirror.invalid/',
      npm_config_https_proxy: 'http://proxy.invalid:1/',
    });
    expect(settings).toMatchObject({
      registry: 'http://mirror.invalid/',
      httpsProxy: 'http://proxy.invalid:1/',
      strictSSL: true,
      fetchRetries: 2,
    });
  });
});
