import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absence, type QueueServer, startRedis } from '../testing/queue-servers.js';
import { PROGRAM, resultOf, tautnet } from '../testing/tautnet-process.js';

/** Hosts as network namespaces on one bridge, 10.99.7.1 being the server's. */
const HOSTS = ['tautnet1', 'tautnet2', 'tautnet3', 'tautnet4'];
const ip = (...argv: string[]): void => void execFileSync('ip', argv, { stdio: 'ignore' });
const inside = (host: string, ...argv: string[]): void => ip('netns', 'exec', host, ...argv);

function build(): void {
  ip('link', 'add', 'tautnetbr', 'type', 'bridge');
  ip('addr', 'add', '10.99.7.1/24', 'dev', 'tautnetbr');
  ip('link', 'set', 'tautnetbr', 'up');
  for (const [i, host] of HOSTS.entries()) {
    ip('netns', 'add', host);
    ip('link', 'add', `tautnetv${i}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host);
    ip('link', 'set', `tautnetv${i}`, 'master', 'tautnetbr', 'up');
    inside(host, 'ip', 'addr', 'add', `10.99.7.${10 + i}/24`, 'dev', 'eth0');
    inside(host, 'ip', 'link', 'set', 'eth0', 'up');
  }
}

function clear(): void {
  for (const host of HOSTS) spawnSync('ip', ['netns', 'del', host]);
  spawnSync('ip', ['link', 'del', 'tautnetbr']);
}

/** Whether hosts can be made here: it takes root, and a kernel that lets it. */
function canBuild(): boolean {
  if (process.getuid?.() !== 0 || absence.redis !== undefined) return false;
  try {
    clear();
    build();
    return true;
  } catch {
    return false;
  } finally {
    clear();
  }
}

describe.skipIf(!canBuild())('four hosts, one of which is cut off for a while and comes back', () => {
  let folder: string;
  let server: QueueServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tautnet-hosts-'));
    build();
    server = await startRedis({ address: '10.99.7.1' });
  });
  afterAll(async () => {
    await server?.stop();
    clear();
    await rm(folder, { recursive: true, force: true });
  });
  /** The program on a host. */
  const on = (host: string, ...argv: string[]) => {
    const program = ['netns', 'exec', host, process.execPath, PROGRAM, ...argv];
    const child = spawn('ip', program, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    return { child, ended };
  };

  test('train to the bits of one', async () => {
    const training = [
      ...['train', '--architecture', 'fc-small', '--train-limit', '200', '--batch-size', '100'],
      ...[
        '--epochs',
        '20',
        '--relaxation',
        'crown-ibp',
        '--smoothing',
        'pgpe',
        '--samples',
        '24',
        '--threads',
        '1',
      ],
    ];
    const [leading, ...others] = HOSTS as [string, ...string[]];
    const workers = others.map((host) => on(host, 'worker', '--queue', server.url, '--threads', '1'));
    const leader = on(leading, ...training, '--queue', server.url, '--out', join(folder, 'many'));
    let text = '';
    leader.child.stderr.on('data', (more) => {
      text += more;
    });
    await expect.poll(() => text, { timeout: 120_000, interval: 500 }).toMatch(/epoch/);
    inside('tautnet3', 'ip', 'link', 'set', 'eth0', 'down');
    await sleep(15_000);
    inside('tautnet3', 'ip', 'link', 'set', 'eth0', 'up');
    expect(await leader.ended).toBe(0);
    for (const { child } of workers) child.kill('SIGTERM');
    await Promise.all(workers.map(({ ended }) => ended));
    expect(await tautnet([...training, '--out', join(folder, 'alone')])).toMatchObject({ code: 0 });
    expect(await resultOf(join(folder, 'many'))).toEqual(await resultOf(join(folder, 'alone')));
  });
});
