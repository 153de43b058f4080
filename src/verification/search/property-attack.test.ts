import { afterAll, describe, expect, test } from 'vitest';
import { architecture } from '../../network/architectures.js';
import { initialize } from '../../network/initialization.js';
import { createPool } from '../../runtime/pool/pool.js';
import { keyOf } from '../../runtime/random/keys.js';
import { runNetwork } from '../../testing/onnx-runs.js';
import { createContext } from '../proof/context.js';
import type { Box, Polytope } from '../property/property.js';
import { violation } from '../property/property.js';
import { attackPolytopes, roundStarts } from './property-attack.js';

const pool = createPool(2);
afterAll(() => pool.close());

const network = architecture('cnn3', [1, 6, 6], 4);
const parameters = initialize(network, 'kaiming', keyOf(2));
const evaluate = (x: Float32Array) => runNetwork(network, parameters, x, 1);
const context = (seed = 0) => createContext({ network, parameters, pool, evaluate, seed });

const around = (radius: number): Box => ({
  lower: new Float64Array(36).fill(0.5 - radius),
  upper: new Float64Array(36).fill(0.5 + radius),
});
/** Output j is at least b. */
const atLeast = (j: number, b: number) => ({
  outputs: Float64Array.from({ length: 4 }, (_, k) => (k === j ? -1 : 0)),
  bound: -b,
});

/** The largest value of each output among what attacks reach. */
async function largestReached(box: Box): Promise<number> {
  let reached = Number.NEGATIVE_INFINITY;
  for (;;) {
    const found = await attackPolytopes(
      context(),
      [{ box, unsafe: [atLeast(1, reached === Number.NEGATIVE_INFINITY ? -1e3 : reached + 0.05)] }],
      {
        starts: 16,
      },
    );
    if (found === undefined) return reached;
    reached = found.output[1] as number;
  }
}

describe('attacks on polytopes', () => {
  test('reach further in a larger box, inside of it, and confirmed', async () => {
    const [small, large] = [await largestReached(around(0.05)), await largestReached(around(0.3))];
    expect(large).toBeGreaterThan(small + 0.05);
  });

  test('find the one of many polytopes that can be reached, each with a box and a number of inequalities of its own', async () => {
    const easy: Polytope = { box: around(0.2), unsafe: [atLeast(0, -1e3), atLeast(2, -1e3)] };
    const polytopes = Array.from(
      { length: 40 },
      (_, i): Polytope => (i === 33 ? easy : { box: around(0.01 * i), unsafe: [atLeast(i % 4, 1e3)] }),
    );
    const found = await attackPolytopes(context(), polytopes, { starts: 64, steps: 10 });
    expect(found?.polytope).toBe(33);
    expect(violation(easy, found?.input ?? [], found?.output ?? [])).toBeLessThanOrEqual(0);
  });

  test('turn to further polytopes in later rounds where they are more than the starts', async () => {
    const polytopes = Array.from(
      { length: 12 },
      (_, i): Polytope => ({ box: around(0.1), unsafe: [atLeast(0, i === 9 ? -1e3 : 1e3)] }),
    );
    const inRound = (round: number) => attackPolytopes(context(), polytopes, { starts: 8, steps: 10, round });
    expect(await inRound(0)).toBe(undefined);
    expect((await inRound(1))?.polytope).toBe(9);
  });

  test('give the same counterexample whatever the number of threads', async () => {
    const alone = createPool(1);
    const hard = [1, 2, 3].map((j): Polytope => ({ box: around(0.3), unsafe: [atLeast(j, 0.2)] }));
    const first = await attackPolytopes(context(3), hard, { starts: 64 });
    const other = await attackPolytopes(
      createContext({ network, parameters, pool: alone, evaluate, seed: 3 }),
      hard,
      { starts: 64 },
    );
    await alone.close();
    expect(first).toBeDefined();
    expect(other).toEqual(first);
  });

  test('start none after their deadline, and stop with the reason of their signal', async () => {
    const easy: Polytope = { box: around(0.2), unsafe: [atLeast(0, -1e3)] };
    expect(await attackPolytopes(context(), [easy], { starts: 8, deadline: performance.now() - 1 })).toBe(
      undefined,
    );
    const reason = new Error('stopped');
    const stopped = createContext({
      network,
      parameters,
      pool,
      evaluate,
      signal: AbortSignal.abort(reason),
    });
    await expect(attackPolytopes(stopped, [easy], { starts: 8 })).rejects.toBe(reason);
  });

  test('give large networks fewer starts', () => {
    expect(roundStarts(architecture('cnn5', [3, 32, 32], 10))).toBeLessThan(
      roundStarts(architecture('fc-small', [1, 6, 6], 10)),
    );
  });
});
