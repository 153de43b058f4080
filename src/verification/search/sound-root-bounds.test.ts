import fc from 'fast-check';
import { expect, test } from 'vitest';
import { featuresOf } from '../../network/layers/layer.js';
import { localPool } from '../../runtime/pool/local-pool.js';
import { anyNetworks } from '../../testing/bound-cases.js';
import { doubleLogits } from '../../testing/certified-sets.js';
import { normalNumbers, uniformNumbers } from '../../testing/numbers.js';
import { randomParameters } from '../../testing/random-networks.js';
import { createContext } from '../proof/context.js';
import type { Polytope } from '../property/property.js';
import { rootBounds } from './root-bounds.js';

const SAMPLES = 40;

test('sound bounds of whole boxes prove nothing that a sample reaches, and what lies far below', async () => {
  let far = 0;
  const pool = localPool();
  await fc.assert(
    fc.asyncProperty(anyNetworks, fc.nat(1e6), fc.constantFrom(1, 300), async (network, seed, scale) => {
      const inputs = featuresOf(network.input);
      const parameters = Object.fromEntries(
        Object.entries(randomParameters(network, seed)).map(([name, w]) => [
          name,
          Float32Array.from(w, (v) => scale * v),
        ]),
      );
      const lower = normalNumbers(`lower ${seed}`, inputs);
      const box = { lower, upper: lower.map((l) => l + 1e-3) };
      const shares = uniformNumbers(`shares ${seed}`, inputs * SAMPLES);
      const places = Float64Array.from(shares, (share, k) => {
        const low = lower[k % inputs] as number;
        return low + 1e-3 * (k < (inputs * SAMPLES) / 2 ? share : Math.round(share));
      });
      const outputs = normalNumbers(`row ${seed}`, network.classes);
      const y = await doubleLogits(network, parameters, places);
      const values = Array.from({ length: SAMPLES }, (_, k) =>
        outputs.reduce((sum, c, j) => sum + c * (y[j * SAMPLES + k] as number), 0),
      );
      const least = Math.min(...values);
      const size = Math.max(...values.map(Math.abs), 1);
      const at = (bound: number, terms?: Float64Array): Polytope => ({
        box,
        unsafe: [{ outputs, bound, ...(terms && { inputs: terms }) }],
      });
      const polytopes = [at(least), at(least - 1e6 * size), at(least - 1e6 * size, new Float64Array(inputs))];
      const context = createContext({ network, parameters, pool });
      for (const stage of ['ibp', 'crown'] as const) {
        const found = await rootBounds({ ...context, over: () => false, sound: true }, stage, polytopes);
        // Terms over the inputs are left to the search.
        expect([found?.[0]?.proved, found?.[2]?.proved]).toEqual([false, false]);
        if (found?.[1]?.proved) far++;
      }
    }),
    { numRuns: 12 },
  );
  expect(far).toBeGreaterThan(12);
  await pool.close();
});
