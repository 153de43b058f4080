import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Plan } from '../../runtime/plan/plan.js';
import type { Pool } from '../../runtime/pool/pool.js';
import type { VerificationContext } from './context.js';
import { inTime, TooLate, untilDeadline } from './deadline.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const later = <T>(milliseconds: number, value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value), milliseconds));
const never = new Promise<never>(() => {});

/** How a call ends, and after how many milliseconds. */
async function ended(call: Promise<unknown>): Promise<readonly [unknown, number]> {
  const began = performance.now();
  const outcome = call.then(
    (value) => [value, performance.now() - began] as const,
    (error) => [error, performance.now() - began] as const,
  );
  await vi.advanceTimersByTimeAsync(1e7);
  return Promise.race([outcome, Promise.resolve(['open', Number.POSITIVE_INFINITY] as const)]);
}

describe('work with a deadline', () => {
  test('has its result where it comes in time', async () => {
    expect(await ended(inTime(later(900, 'done'), performance.now() + 1000))).toEqual(['done', 900]);
    const failing = later(5, 0).then(() => Promise.reject(new Error('its own')));
    expect((await ended(inTime(failing, performance.now() + 1000)))[0]).toEqual(new Error('its own'));
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is left shortly after the deadline, and at once where that is over long since', async () => {
    const [error, milliseconds] = await ended(inTime(never, performance.now() + 1000));
    expect(error).toBeInstanceOf(TooLate);
    expect((error as TooLate).name).toBe('TooLate');
    expect(milliseconds).toBeGreaterThan(1000);
    expect(milliseconds).toBeLessThan(1500);
    expect(await ended(inTime(never, performance.now() - 1000))).toEqual([expect.any(TooLate), 0]);
  });

  test('is waited for where there is none', async () => {
    expect(await ended(inTime(later(9e6, 'done'), Number.POSITIVE_INFINITY))).toEqual(['done', 9e6]);
    expect((await ended(inTime(never, Number.POSITIVE_INFINITY)))[0]).toBe('open');
  });
});

test('every call of a context ends in time', async () => {
  const plan = {} as Plan;
  const pool = { run: () => never } as unknown as Pool;
  const context = { pool, run: () => never, evaluate: () => never } as unknown as VerificationContext;
  const limited = untilDeadline(context, performance.now() + 10);
  const calls = [limited.pool.run({} as never), limited.run(plan, {}), limited.evaluate(new Float32Array())];
  const outcomes = Promise.all(calls.map((call) => ended(call)));
  for (const [outcome] of await outcomes) expect(outcome).toBeInstanceOf(TooLate);
  expect(untilDeadline(context, Number.POSITIVE_INFINITY)).toBe(context);
});
