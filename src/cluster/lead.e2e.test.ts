import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absence, type QueueServer, startPostgres, startRedis } from '../testing/queue-servers.js';
import { failureOf, resultOf, type Started, startTautnet, tautnet } from '../testing/tautnet-process.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-lead-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const TRAINING = [
  ...['train', '--architecture', 'fc-small', '--train-limit', '200', '--batch-size', '100', '--epochs', '8'],
  ...['--relaxation', 'crown-ibp', '--smoothing', 'pgpe', '--samples', '24', '--threads', '1'],
  ...['--sigma-mode', 'layer', '--sigma-learning-rate', '0.1'],
];
const RGS = ['--smoothing', 'rgs', '--samples', '16', '--sigma', '0.01', '--threads', '1'];
const worker = (url: string): Started => startTautnet(['worker', '--queue', url, '--threads', '1']);
const run = (name: string): string => join(folder, name);

/** Waits until a process has said something on stderr. */
const said = ({ child }: Started, what: RegExp): Promise<void> =>
  new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (more: string) => {
      text += more;
      if (what.test(text)) resolve();
    });
    child.on('close', () => reject(new Error(`expected ${what}, got ${text}`)));
  });

/** Children of a process, which are at its work. */
const childrenOf = ({ child }: Started): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/stat`))
    .map((name) =>
      readFileSync(`/proc/${name}/stat`, 'utf8')
        .replace(/\(.*\)/, '')
        .split(/\s+/),
    )
    .filter((fields) => Number(fields[2] ?? fields[3]) === child.pid)
    .map((fields) => Number(fields[0]));

describe.each([
  ['redis', () => startRedis()],
  ['postgres', () => startPostgres()],
] as const)('a training over workers of %s', (name, start) => {
  describe.skipIf(absence[name])('', () => {
    let server: QueueServer;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.stop());

    test('has the bits of one process, while workers join and one is killed in the middle of a step', async () => {
      expect(await tautnet([...TRAINING, '--out', run(`${name}-alone`)])).toMatchObject({ code: 0 });
      const first = worker(server.url);
      const leader = startTautnet([...TRAINING, '--queue', server.url, '--out', run(`${name}-many`)]);
      await said(first, /begun/);
      await said(leader, /epoch/);
      const second = worker(server.url);
      await said(second, /begun/);
      await sleep(1000);
      for (const pid of childrenOf(first)) process.kill(pid, 'SIGKILL');
      first.child.kill('SIGKILL');
      const ended = await leader.ended;
      expect(ended.code).toBe(0);
      second.child.kill('SIGTERM');
      expect((await second.ended).code).toBe(0);
      const [alone, many] = [await resultOf(run(`${name}-alone`)), await resultOf(run(`${name}-many`))];
      expect(many).toEqual(alone);
    });
  });
});

describe.skipIf(absence.redis)('a training by RGS over workers, whose gradients travel', () => {
  let server: QueueServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.stop());

  test('has the bits of one process: two workers follow it, one of which joins late', async () => {
    const training = [...TRAINING.slice(0, TRAINING.indexOf('--smoothing')), ...RGS];
    expect(await tautnet([...training, '--out', run('rgs-alone')])).toMatchObject({ code: 0 });
    const first = worker(server.url);
    const leader = startTautnet([...training, '--queue', server.url, '--out', run('rgs-many')]);
    await said(first, /begun/);
    await said(leader, /epoch/);
    const second = worker(server.url);
    const followed = Promise.all([first, second].map((each) => said(each, /done/)));
    expect((await leader.ended).code).toBe(0);
    await followed;
    for (const { child, ended } of [first, second]) {
      child.kill('SIGTERM');
      expect((await ended).code).toBe(0);
    }
    expect(await resultOf(run('rgs-many'))).toEqual(await resultOf(run('rgs-alone')));
  });
});

describe('a training with nothing to spread', () => {
  test.each([
    [['--smoothing', 'none'], '--queue: expected smoothing pgpe or rgs'],
    [['--smoothing', 'pgpe', '--device', 'webgpu'], '--queue: expected --device cpu, got webgpu'],
  ])('is refused before it begins: %j', async (flags, line) => {
    const ended = await tautnet(['train', ...flags, '--queue', 'redis://127.0.0.1:1', '--out', run('none')]);
    expect([ended.code, failureOf(ended)]).toEqual([2, expect.stringContaining(line)]);
    expect(existsSync(run('none'))).toBe(false);
  });
});
