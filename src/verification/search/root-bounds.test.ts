import { afterAll, describe, expect, test } from 'vitest';
import { createPool } from '../../runtime/pool/pool.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { randomInequalities, singleBox, singleParameters } from '../../testing/property-cases.js';
import { denseNetwork } from '../../testing/searches.js';
import { createContext } from '../proof/context.js';
import { type Polytope, violation } from '../property/property.js';
import { type RootBound, rootBounds } from './root-bounds.js';

const pool = createPool(1);
afterAll(() => pool.close());

const net = denseNetwork(4, 6, 3);
const [BOXES, SAMPLES] = [5, 60];
const context = createContext({ network: net, parameters: singleParameters(net, 3), pool });
const boxes = Array.from({ length: BOXES }, (_, k) => singleBox(net, k, 0.3));
const bound = (stage: 'ibp' | 'crown', polytopes: readonly Polytope[], columns = 1, over = () => false) =>
  rootBounds({ ...context, over, columns }, stage, polytopes) as Promise<RootBound[]>;

/** Every third polytope of several inequalities, every second inequality over the inputs too. */
const polytopes = Array.from({ length: 3 * BOXES }, (_, k): Polytope => {
  const unsafe = randomInequalities(net, k, k % 3 === 0 ? 3 : 1, true);
  return { box: boxes[k % BOXES] as Polytope['box'], unsafe: k % 2 === 0 ? unsafe.toReversed() : unsafe };
});

/** The least that a polytope is missed by at corners and other places of its box. */
async function leastMiss(polytope: Polytope, name: string): Promise<number> {
  const { lower, upper } = polytope.box;
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < SAMPLES; k++) {
    const u = uniformNumbers(`${name} ${k}`, lower.length);
    const share = (i: number) => (k % 2 === 0 ? (u[i] as number) : Math.round(u[i] as number));
    const x = lower.map((low, i) => low + share(i) * ((upper[i] as number) - low));
    least = Math.min(least, violation(polytope, x, await context.evaluate(Float32Array.from(x))));
  }
  return least;
}

describe.each(['ibp', 'crown'] as const)('bounds of whole boxes by %s', (stage) => {
  test('are below what is reached anywhere, and what they prove is not', async () => {
    const found = await bound(stage, polytopes);
    let proved = 0;
    for (const [k, polytope] of polytopes.entries()) {
      const least = await leastMiss(polytope, `place ${k}`);
      const { lower } = found[k] as RootBound;
      expect(lower).toBeLessThan(least + 1e-5);
      // Moved by what was found, the first is just proved, and the second is not.
      const moved = (by: number) => ({
        ...polytope,
        unsafe: polytope.unsafe.map((r) => ({ ...r, bound: r.bound + by })),
      });
      const [near, beyond] = await bound(stage, [moved(lower - 0.01), moved(lower + 0.01)]);
      if (near?.proved) proved++;
      expect(beyond?.proved).toBe(false);
      expect(near?.lower).toBeCloseTo(0.01, 4);
    }
    expect(proved).toBe(polytopes.length);
  });

  test('are the same however many boxes a call bounds, and however many inequalities a box has', async () => {
    const one = await bound(stage, polytopes, 1);
    for (const columns of [2, 3, 100])
      for (const [k, { lower, proved }] of (await bound(stage, polytopes, columns)).entries()) {
        expect(lower).toBeCloseTo(one[k]?.lower as number, 5);
        expect(proved).toBe(one[k]?.proved);
      }
    // Of 70 on one box, which are three calls.
    const box = boxes[0] as Polytope['box'];
    const many = Array.from(
      { length: 70 },
      (_, k): Polytope => ({ box, unsafe: randomInequalities(net, 100 + k, 1, true) }),
    );
    const together = await bound(stage, many);
    for (const k of [0, 31, 32, 69]) {
      const [alone] = await bound(stage, [many[k] as Polytope]);
      expect(together[k]?.lower).toBeCloseTo(alone?.lower as number, 5);
    }
  });

  test('prove nothing of polytopes that time did not suffice for', async () => {
    const far = polytopes.map(({ box, unsafe }) => ({
      box,
      unsafe: unsafe.map((r) => ({ ...r, bound: -1e3 })),
    }));
    expect((await bound(stage, far)).every(({ proved }) => proved)).toBe(true);
    for (const calls of [0, 1, 3]) {
      let asked = 0;
      const found = await bound(stage, far, 1, () => asked++ >= calls);
      expect(found.some(({ proved }) => !proved)).toBe(true);
      for (const { lower, proved } of found) if (!proved) expect(lower).toBe(Number.NEGATIVE_INFINITY);
    }
  });
});
