import fc from 'fast-check';
import { expect, it } from 'vitest';
import { violation } from '../verification/property/property.js';
import { nodeValues } from './dual-cases.js';
import { uniformNumbers } from './numbers.js';
import { propertyCases } from './property-cases.js';
import { denseNetworks, residualNetworks } from './random-networks.js';

const SAMPLES = 400;

it('no sampled input comes nearer to a polytope than the exact minimum, and some come near it', async () => {
  let near = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(denseNetworks, residualNetworks),
      fc.nat(1e6),
      fc.constantFrom(1, 2, 3),
      async (net, seed, rows) => {
        const [made] = await propertyCases(net, seed, 1, { rows, mixed: true, epsilon: 0.1 });
        const { parameters, polytope, least } = made as NonNullable<typeof made>;
        const { lower, upper } = polytope.box;
        const points = uniformNumbers(`oracle ${seed}`, lower.length * SAMPLES).map((u, at) => {
          const i = Math.floor(at / SAMPLES);
          return (
            (lower[i] as number) +
            (at % 2 ? u : Math.round(u)) * ((upper[i] as number) - (lower[i] as number))
          );
        });
        const doubles = Object.fromEntries(
          Object.entries(parameters).map(([name, array]) => [name, Float64Array.from(array)]),
        );
        const outputs = (await nodeValues(net, doubles, points)).at(-1) as Float64Array;
        const column = (array: Float64Array, at: number) => array.filter((_, k) => k % SAMPLES === at);
        const met = Array.from({ length: SAMPLES }, (_, at) =>
          violation(polytope, column(points, at), column(outputs, at)),
        );
        expect(Math.min(...met)).toBeGreaterThan(least - 1e-7);
        if (Math.min(...met) < least + 0.1) near++;
      },
    ),
    { numRuns: 6 },
  );
  expect(near).toBeGreaterThan(0);
});
