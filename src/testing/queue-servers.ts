/** Redis and PostgreSQL on this machine for tests: on 127.0.0.1, in temporary folders, of Debian's packages. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface QueueServer {
  readonly url: string;
  /** Ends it as an operator does, and starts it again on what it has kept, milliseconds `after`. */
  restart(after?: number): Promise<void>;
  stop(): Promise<void>;
}

const exists = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** Folder of PostgreSQL's programs; Debian has one for each version, not in the path. */
function postgresPrograms(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
}

/** PostgreSQL refuses to run for root: then it runs as Debian's user. */
function postgresUser(): { uid?: number; gid?: number } | undefined {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  return exists('id', 'postgres') ? { uid: id('-u'), gid: id('-g') } : undefined;
}

/** Why a server cannot be tested here, in one line; undefined where it can. */
export const absence = {
  redis: exists('redis-server', '--version') ? undefined : 'redis-server is not installed',
  postgres:
    postgresPrograms() === undefined || postgresUser() === undefined
      ? 'PostgreSQL is not installed'
      : undefined,
};
for (const [name, reason] of Object.entries(absence))
  if (reason !== undefined) console.info(`skipped: tests of queues over ${name}, as ${reason}`);

/** A port of 127.0.0.1 at which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits. @throws Error where it does not hold within half a minute */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !holds(); await sleep(50))
    if (Date.now() > end) throw new Error(`expected ${what} within 30 s`);
}

interface Program {
  start(): ChildProcess;
  ready(): boolean;
  readonly signal: NodeJS.Signals;
}

async function running({ start, ready, signal }: Program, url: string, folder: string): Promise<QueueServer> {
  let child = start();
  const up = () => until(ready, `${url.split(':')[0]} to answer`);
  await up();
  const down = async () => {
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await gone;
  };
  return {
    url,
    async restart(after = 0) {
      await down();
      await sleep(after);
      child = start();
      await up();
    },
    async stop() {
      await down();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * A Redis that keeps what it acknowledges. @param password what clients have to say, if anything; `address`: of
 * this machine, which it listens at
 */
export async function startRedis({
  password,
  address = '127.0.0.1',
}: {
  password?: string;
  address?: string;
} = {}): Promise<QueueServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tautnet-redis-'));
  const port = await freePort();
  const args = ['--port', String(port), '--bind', address, '--dir', folder, '--save', ''];
  const open = ['--protected-mode', 'no'];
  const keeping = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction'];
  const secret = password === undefined ? [] : ['--requirepass', password];
  const credentials = password === undefined ? [] : ['-a', password, '--no-auth-warning'];
  const ping = ['-h', address, '-p', String(port), ...credentials, 'ping'];
  const program: Program = {
    start: () => spawn('redis-server', [...args, ...open, ...keeping, ...secret], { stdio: 'ignore' }),
    ready: () => spawnSync('redis-cli', ping, { encoding: 'utf8' }).stdout?.trim() === 'PONG',
    signal: 'SIGTERM',
  };
  const user = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  return running(program, `redis://${user}${address}:${port}`, folder);
}

/** A PostgreSQL with one database. */
export async function startPostgres(): Promise<QueueServer> {
  const [bin, user] = [postgresPrograms() as string, postgresUser() ?? {}];
  const folder = await mkdtemp(join(tmpdir(), 'tautnet-postgres-'));
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid as number);
  await chmod(folder, 0o700);
  const data = join(folder, 'data');
  const port = await freePort();
  const initial = ['-D', data, '-U', 'tautnet', '--auth=trust', '--no-sync'];
  execFileSync(join(bin, 'initdb'), initial, { ...user, cwd: folder, stdio: 'ignore' });
  const args = ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-k', folder];
  const ping = ['-h', '127.0.0.1', '-p', String(port), '-q', '-d', 'postgres', '-U', 'tautnet'];
  const program: Program = {
    start: () => spawn(join(bin, 'postgres'), args, { ...user, cwd: folder, stdio: 'ignore' }),
    ready: () => exists(join(bin, 'pg_isready'), ...ping),
    // Fast shutdown: clients are cut off.
    signal: 'SIGINT',
  };
  return running(program, `postgres://tautnet@127.0.0.1:${port}/postgres`, folder);
}
