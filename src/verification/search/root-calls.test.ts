import { expect, test } from 'vitest';
import type { HostData } from '../../graph/index.js';
import { localPool } from '../../runtime/pool/local-pool.js';
import { singleParameters } from '../../testing/property-cases.js';
import { denseNetwork } from '../../testing/searches.js';
import { createContext, planStore } from '../proof/context.js';
import type { Polytope } from '../property/property.js';
import { type RootProblem, type RootStage, rootBounds } from './root-bounds.js';

type Arrays = Record<string, HostData>;

/** Bounds of polytopes whose calls are answered by `answer`, and what these were given. */
async function answered(sound: boolean, polytopes: readonly Polytope[], answer: Arrays) {
  const network = denseNetwork(3, 5, 5, 2);
  const parameters = singleParameters(network, 1);
  const pool = localPool();
  const fed: Arrays[] = [];
  const given = (feeds: unknown) => {
    fed.push(feeds as Arrays);
    return answer;
  };
  const context = createContext({ network, parameters, pool, plans: planStore() });
  const problem: RootProblem = {
    ...context,
    evaluate: async () => Float64Array.of(1, -1),
    over: () => false,
    sound,
    run: async (_, feeds) => given(feeds) as never,
    pool: { ...pool, threads: 1, run: async ({ feeds }) => ({ outputs: given(feeds) }) as never },
  };
  const found = await rootBounds(problem, 'ibp' satisfies RootStage, polytopes);
  await pool.close();
  return { found, fed: fed[0] as Arrays };
}

/** Thirds, which neither float32 nor float64 holds. */
const box = { lower: Float64Array.of(1 / 3, -2 / 3, 0.1), upper: Float64Array.of(2 / 3, 1 / 3, 0.1) };
const polytope: Polytope = { box, unsafe: [{ outputs: Float64Array.of(1, 0), bound: 0 }] };

test.each([true, false])('a bound that is no finite number proves nothing, sound: %s', async (sound) => {
  for (const margin of [Number.POSITIVE_INFINITY, Number.NaN, Number.NEGATIVE_INFINITY]) {
    const margins = Float64Array.of(margin);
    const { found } = await answered(sound, [polytope], { margins, size: [1], error: [1, 1] } as never);
    expect(found?.[0]?.proved).toBe(false);
  }
  const good = { margins: Float64Array.of(0.5), size: Float64Array.of(1), error: Float64Array.of(1, 1) };
  expect((await answered(sound, [polytope], good)).found).toEqual([{ lower: 0.5, proved: true }]);
});

test.each([true, false])(
  'a call is given a box that contains the whole of its own, sound: %s',
  async (sound) => {
    const good = { margins: Float64Array.of(0.5), size: Float64Array.of(1), error: Float64Array.of(1, 1) };
    const { fed } = await answered(sound, [polytope], good);
    const [lower, upper] = [fed.lower, fed.upper] as [Float64Array, Float64Array];
    expect(lower).toHaveLength(3);
    box.lower.forEach((end, i) => {
      // Decimals were rounded to the ends of a box: in float64 each is moved by one place.
      if (sound) expect(lower[i]).toBeLessThan(end);
      else expect(lower[i]).toBeLessThanOrEqual(end);
      expect(lower[i]).toBeCloseTo(end, 6);
    });
    box.upper.forEach((end, i) => {
      if (sound) expect(upper[i]).toBeGreaterThan(end);
      else expect(upper[i]).toBeGreaterThanOrEqual(end);
      expect(upper[i]).toBeCloseTo(end, 6);
    });
  },
);
