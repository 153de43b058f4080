import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { importedNetworks } from '../testing/random-networks.js';
import { excess, marginsOf, randomFeeds } from '../testing/relaxation-margins.js';
import { sampleActivations } from '../testing/sampled-activations.js';
import { relaxations } from './index.js';
import { alphaCrownWith } from './linear/alpha-crown.js';
import { exact } from './solver/exact.js';

describe('layers that only imported networks have', () => {
  it('have margins by every relaxation that no point of the box and no exact minimum falls below', async () => {
    let tight = 0;
    const looser = [
      ...Object.values(relaxations).filter(({ name }) => name !== 'exact' && name !== 'alpha-crown'),
      alphaCrownWith({ iterations: 5 }),
    ];
    await fc.assert(
      fc.asyncProperty(importedNetworks, fc.nat(), fc.constantFrom(0.05, 0.2), async (net, seed, epsilon) => {
        const feeds = randomFeeds(net, seed, epsilon);
        const [best, ...bounds] = (await marginsOf([exact, ...looser], net, feeds)) as [
          Float64Array,
          ...Float64Array[],
        ];
        const met = (await sampleActivations(net, feeds, 200, 6, seed)).margins.least;
        expect(excess(best, met), 'exact above a sample').toBeLessThan(1e-9);
        for (const [i, margins] of bounds.entries())
          expect(excess(margins, best), `${looser[i]?.name} above exact`).toBeLessThan(1e-8);
        if (excess(met, best) < 1e-2) tight++;
      }),
      { numRuns: 6 },
    );
    expect(tight).toBeGreaterThan(0); // the minimum is attained, not just bounded
  });
});
