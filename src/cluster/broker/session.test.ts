import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExchangedTasks } from '../../evaluation/exchange.js';
import { absence, type QueueServer, startRedis } from '../../testing/queue-servers.js';
import { queueAddress } from './address.js';
import { ChunkWorker } from './chunk-worker.js';
import { type Engine, openEngine } from './engine.js';
import { Astray, Follower, Over } from './follower.js';
import { Leader } from './leader.js';

/** Tasks of a step, and steps. */
const [COUNT, STEPS] = [8, 40];

/** Values of a step that tell its tasks apart; `computed` counts who did them. */
function tasksOf(step: number, count: number, computed: { tasks: number }, delay = 0): ExchangedTasks {
  return {
    count,
    async compute(from, to) {
      await new Promise((resolve) => setTimeout(resolve, delay));
      computed.tasks += to - from;
      return Uint8Array.from({ length: to - from }, (_, i) => 37 * step + from + i);
    },
  };
}
const expected = (step: number, count: number) => Uint8Array.from({ length: count }, (_, i) => 37 * step + i);
const theta = (step: number): Float32Array => Float32Array.of(step, -step, 0.5);
const state = (step: number) => () => ({ step, theta: theta(step), rule: { m: Float64Array.of(1 / 3) } });

describe.skipIf(absence.redis)('a leader and its followers', () => {
  let server: QueueServer;
  let engine: Engine;
  beforeAll(async () => {
    server = await startRedis();
    engine = await openEngine(queueAddress(server.url));
  });
  afterAll(async () => {
    await engine?.close();
    await server?.stop();
  });

  const leading = async (work: (leader: Leader, follower: Follower) => Promise<void>): Promise<void> => {
    const leader = new Leader({ engine, settings: {}, threads: 1 });
    await leader.start();
    try {
      await work(leader, new Follower(engine, leader.session));
    } finally {
      await leader.close();
    }
  };
  /** Steps from, …, to − 1 of either. */
  const steps = async (
    one: Leader | Follower,
    from: number,
    to: number,
    by: { tasks: number },
    wrong = 0,
  ) => {
    for (let step = from; step < to; step++) {
      await one.begin(step, theta(step + wrong), state(step));
      expect([...(await one.values(tasksOf(step, COUNT, by, 1)))]).toEqual([...expected(step, COUNT)]);
    }
  };

  test('share the tasks of each step and are given all values, from where the follower has joined', () =>
    leading(async (leader, follower) => {
      const [own, others] = [{ tasks: 0 }, { tasks: 0 }];
      const joined = follower.join();
      let at = 0;
      const stepped = (async () => {
        for (; at < STEPS; at++) await steps(leader, at, at + 1, own);
      })();
      const begun = await joined;
      expect(begun).toEqual(state(begun.step)());
      await steps(follower, begun.step, STEPS, others);
      await stepped;
      expect(others.tasks).toBeGreaterThan(STEPS);
      expect(own.tasks).toBeGreaterThan(STEPS);
      // Only what seems late is done twice.
      expect(own.tasks + others.tasks).toBeGreaterThanOrEqual(STEPS * COUNT);
      expect(own.tasks + others.tasks).toBeLessThan(1.5 * STEPS * COUNT);
    }));

  test('a chunk that somebody took and never answered is done by others', () =>
    leading(async (leader) => {
      const thief = new ChunkWorker(engine, leader.session);
      const stolen = (async () => {
        for (;;) {
          const chunk = await thief.take();
          if (chunk !== undefined) return chunk;
        }
      })();
      const own = { tasks: 0 };
      await steps(leader, 0, 1, own);
      expect(await stolen).toMatchObject({ step: 0 });
      expect(own.tasks).toBe(COUNT);
    }));

  test('a follower with another θ is told so, and does not go on with it', () =>
    leading(async (leader, follower) => {
      const led = steps(leader, 0, 17, { tasks: 0 });
      await expect(steps(follower, 0, 17, { tasks: 0 }, 1)).rejects.toThrow(Astray);
      await led;
    }));

  test('a follower that is too far behind is told so', () =>
    leading(async (leader, follower) => {
      await steps(leader, 0, 70, { tasks: 0 });
      const led = steps(leader, 70, 72, { tasks: 0 });
      await expect(steps(follower, 2, 3, { tasks: 0 })).rejects.toThrow(Astray);
      await led;
    }));

  test('a follower ends with its leader', async () => {
    let ended: Promise<unknown> | undefined;
    await leading(async (leader, follower) => {
      await steps(leader, 0, 1, { tasks: 0 });
      await follower.begin(1, theta(1));
      ended = expect(follower.values(tasksOf(1, COUNT, { tasks: 0 }))).rejects.toThrow(Over);
    });
    await ended;
  });

  test('a follower of a leader that never was is stopped by its signal', async () => {
    const follower = new Follower(engine, 'nobody', AbortSignal.timeout(1500));
    await expect(follower.join()).rejects.toThrow(/timeout/);
  });
});
