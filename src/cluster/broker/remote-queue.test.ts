import type { Queue, Worker } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { absence, type QueueServer, startRedis } from '../../testing/queue-servers.js';
import type { Job, Outcome } from '../queue.js';
import { queueAddress } from './address.js';
import { type Engine, openEngine } from './engine.js';
import { enveloped, WORK } from './job.js';
import { type Carrier, RemoteQueue } from './remote-queue.js';

interface Sum extends Job {
  readonly numbers: readonly number[];
}
const carrier: Carrier<Sum, number> = {
  prefix: 'sums',
  encode: async ({ numbers }) => enveloped('sum', { numbers }),
  async decode(_, answer) {
    if (typeof answer !== 'number') throw new Error('expected a number, got something else');
    return answer;
  },
};
const sum = (id: string, ...numbers: number[]): Sum => ({ id, numbers });

describe.skipIf(absence.redis)('a queue that others serve', () => {
  let server: QueueServer;
  let engine: Engine;
  let raw: Queue;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    engine = await openEngine(queueAddress(server.url));
    raw = engine.queue(WORK);
    await raw.obliterate({ force: true });
  });
  afterEach(() => engine.close());

  const opened = (more: object = {}): RemoteQueue<Sum, number> =>
    new RemoteQueue<Sum, number>({ engine, carrier, capacity: 8, ...more });
  const served = (): Worker =>
    engine.worker(
      WORK,
      async ({ data }) => {
        if (data.numbers.length === 0) throw engine.final('nothing to add');
        if (data.numbers.length > 5) return 'many';
        return data.numbers.reduce((a: number, b: number) => a + b, 0);
      },
      {},
    );
  const next = async (queue: RemoteQueue<Sum, number>, count: number): Promise<Outcome<number>[]> => {
    const found: Outcome<number>[] = [];
    for await (const outcome of queue.results()) if (found.push(outcome) === count) break;
    return found.sort((a, b) => a.id.localeCompare(b.id));
  };

  test('gives each job one outcome: a result, or a reason', async () => {
    const queue = opened();
    for (const job of [sum('a', 1, 2), sum('b'), sum('c', 1, 2, 3, 4, 5, 6)]) await queue.submit(job);
    served();
    expect(await next(queue, 3)).toEqual([
      { id: 'a', kind: 'done', result: 3 },
      { id: 'b', kind: 'failed', reason: 'nothing to add' },
      { id: 'c', kind: 'failed', reason: 'expected a number, got something else' },
    ]);
    await queue.close();
  });

  test('submits again what its server has forgotten', async () => {
    const queue = opened();
    await queue.submit(sum('a', 4, 5));
    await raw.obliterate({ force: true });
    served();
    expect(await next(queue, 1)).toEqual([{ id: 'a', kind: 'done', result: 9 }]);
    await queue.close();
  });

  test('finds what was done while nobody waited, and what failed counts as a try', async () => {
    const [before, after] = [opened(), opened()];
    await before.submit(sum('a', 4, 5));
    await before.submit(sum('b'));
    const worker = served();
    await next(before, 2);
    await worker.close();
    await after.submit(sum('a', 4, 5));
    await after.submit(sum('b'));
    expect((await next(after, 2)).map(({ kind }) => kind)).toEqual(['done', 'failed']);
    await after.submit(sum('b'));
    expect(await raw.getJob('sums-b-2')).toBeDefined();
    await before.close();
    await after.close();
  });

  test('forgets the failures of what is tried anew, and nothing that was done', async () => {
    const before = opened();
    for (const job of [sum('a', 4, 5), sum('b')]) await before.submit(job);
    const failing = served();
    await next(before, 2);
    await before.close();
    await failing.close();
    const after = opened({ anew: new Set(['a', 'b']) });
    await after.submit(sum('a', 6, 7));
    await after.submit(sum('b', 1));
    served();
    expect(await next(after, 2)).toEqual([
      { id: 'a', kind: 'done', result: 9 },
      { id: 'b', kind: 'done', result: 1 },
    ]);
    await after.close();
  });

  test('closed takes back what waits, whose outcome is that it was cancelled', async () => {
    const queue = opened();
    await queue.submit(sum('a', 1));
    await queue.close();
    expect(await next(queue, 1)).toEqual([{ id: 'a', kind: 'cancelled' }]);
    expect(await raw.getJob('sums-a-1')).toBeUndefined();
  });

  test('hands on why workers refuse, once', async () => {
    const notices: string[] = [];
    const queue = opened({ onNotice: (line: string) => notices.push(line) });
    await queue.submit(sum('a', 1));
    const job = await raw.getJob('sums-a-1');
    for (let i = 0; i < 3; i++) await job?.updateProgress({ refused: 'another version', by: 'node-7' });
    await expect.poll(() => notices, { timeout: 10_000 }).toEqual(['node-7: another version']);
    await queue.close();
  });
});
