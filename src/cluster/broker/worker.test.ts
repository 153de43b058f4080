import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Job, Queue } from 'bullmq';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absence, type QueueServer, startPostgres, startRedis } from '../../testing/queue-servers.js';
import { queueAddress } from './address.js';
import { type Engine, LostServer, openEngine } from './engine.js';
import { idleness } from './idleness.js';
import { CANCELLED, enveloped, JOB_FORMAT, WORK } from './job.js';
import { packRun, unpackRun } from './parcel.js';
import { withEngine } from './reconnect.js';
import { serve } from './worker.js';

describe.skipIf(absence.redis)('a worker', () => {
  let server: QueueServer;
  let folder: string;
  let engine: Engine;
  let queue: Queue;
  const stop = new AbortController();
  const log: string[] = [];
  let serving: Promise<void>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tautnet-worker-'));
    server = await startRedis();
    engine = await openEngine(queueAddress(server.url));
    queue = engine.queue(WORK);
    const { signal } = stop;
    const line = (text: string): void => void log.push(text);
    serving = serve({ engine, parallel: 2, threads: 1, folder, lease: 2, signal, log: line });
  });
  afterAll(async () => {
    stop.abort();
    await serving;
    await engine?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const ended = async (job: Job, state: string): Promise<Job> => {
    await expect.poll(() => job.getState(), { timeout: 20_000 }).toBe(state);
    return (await queue.getJob(job.id as string)) as Job;
  };
  const trial = (more: object = {}) => ({
    sweep: { folder: '/nowhere', digest: '0'.repeat(64) },
    trial: '0000-0',
    settings: { dataset: 'mnist' },
    judge: { on: 'validation' },
    ships: true,
    ...more,
  });

  test('fails garbage with a reason, whatever it is, and lives on', async () => {
    const noise = fc.sample(fc.jsonValue(), { numRuns: 40, seed: 7 });
    const jobs = await queue.addBulk(noise.map((data) => ({ name: 'noise', data })));
    for (const job of jobs)
      expect((await ended(job, 'failed')).failedReason).toBe('expected a job of tautnet, got something else');
  });

  test.each<[string, object, RegExp]>([
    ['another kind', { kind: 'shell' }, /got one of kind shell/],
    ['an object’s own name as its kind', { kind: 'constructor' }, /got one of kind constructor/],
    ['no settings', { settings: 7 }, /^trial: settings: /],
    [
      'a setting that is none',
      { settings: { command: 'rm' } },
      /expected the name of a setting, got "command"/,
    ],
    ['a setting beyond its range', { settings: { epsilon: 7 } }, /^epsilon: expected/],
    ['a trial that leaves the folder', { trial: '../../x-0' }, /^trial: trial: /],
    ['a run with a file elsewhere', { run: { '../evil': '' } }, /^trial: run/],
    ['a field more', { code: 'process.exit()' }, /^trial: /],
  ])('fails %s with a reason', async (_, more, reason) => {
    const { kind = 'trial', ...rest } = more as { kind?: string };
    const job = await queue.add('trial', enveloped(kind, trial(rest)));
    expect((await ended(job, 'failed')).failedReason).toMatch(reason);
  });

  test('leaves jobs of another version to others, with the reason', async () => {
    const data = { ...enveloped('trial', trial()), tautnet: { format: JOB_FORMAT, version: '9.9.9' } };
    const job = await ended(await queue.add('trial', data), 'delayed');
    const reason = /^expected a job of tautnet \d.*, got one of 9\.9\.9 .*; install the same version/;
    await expect
      .poll(async () => (await queue.getJob(job.id as string))?.progress)
      .toMatchObject({
        refused: expect.stringMatching(reason),
      });
    await job.remove();
    expect(log.some((line) => line.includes('9.9.9'))).toBe(true);
  });

  test('leaves trials whose folder it does not have to others, with the reason', async () => {
    const job = await ended(await queue.add('trial', enveloped('trial', trial({ ships: false }))), 'delayed');
    expect((await queue.getJob(job.id as string))?.progress).toMatchObject({
      refused: expect.stringContaining('expected the folder /nowhere of the sweep'),
    });
    await job.remove();
  });

  test('answers a job that was cancelled before it began without doing it', async () => {
    const job = await queue.add('trial', { ...enveloped('trial', trial()), ...CANCELLED });
    expect((await ended(job, 'completed')).returnvalue).toEqual(CANCELLED);
  });

  test('of the same job twice gives the same answer twice', async () => {
    const settings = { architecture: 'fc-small', trainLimit: 200, validation: 100, batchSize: 50, epochs: 2 };
    const data = enveloped(
      'trial',
      trial({ settings, sweep: { folder: '/nowhere', digest: '1'.repeat(64) } }),
    );
    const jobs = await Promise.all([queue.add('trial', data), queue.add('trial', data)]);
    const both = [];
    for (const job of jobs) {
      await expect.poll(() => job.isCompleted(), { timeout: 120_000 }).toBe(true);
      both.push((await queue.getJob(job.id as string))?.returnvalue.result.digest);
    }
    expect(both[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(both[0]).toBe(both[1]);
    const parcel = (await queue.getJob(jobs[0]?.id as string))?.returnvalue.run;
    await unpackRun(join(folder, 'run'), parcel);
    expect(await packRun(join(folder, 'run'))).toEqual(parcel);
  });
});

describe('a server that is not there', () => {
  test('is one line without its password', async () => {
    const address = queueAddress('redis://:s3cret@127.0.0.1:1');
    const failure = openEngine(address);
    await expect(failure).rejects.toThrow(
      /^--queue: expected a server at redis:\/\/127.0.0.1:1, it cannot be/,
    );
    await expect(failure).rejects.not.toThrow(/s3cret/);
    await expect(openEngine(queueAddress('postgres://ada:s3cret@127.0.0.1:1/x'))).rejects.toThrow(
      /^--queue: expected a server at postgres:\/\/ada@127.0.0.1:1\/x, it cannot be reached \(.*ECONNREFUSED/,
    );
  });
});

describe.each([
  ['Redis', absence.redis, startRedis],
  ['PostgreSQL', absence.postgres, startPostgres],
] as const)('a worker whose %s is lost while it connects', (_, missing, start) => {
  test.skipIf(missing)(
    'ends once it has been idle for long',
    async () => {
      const server = await start();
      const folder = await mkdtemp(join(tmpdir(), 'tautnet-idle-'));
      const { signal } = new AbortController();
      let begun = 0;
      const idle = idleness(1);
      const work = withEngine(queueAddress(server.url), { idle }, async (engine) => {
        if (begun++ === 0) await server.stop();
        await serve({ engine, parallel: 1, threads: 1, folder, lease: 30, idle, signal });
      });
      await work.catch((error) => expect(error).toBeInstanceOf(LostServer));
      expect(begun).toBe(1);
      await rm(folder, { recursive: true, force: true });
    },
    20_000,
  );
});
