import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain, type Network } from '../../network/network.js';
import type { Feeds } from '../../testing/bound-programs.js';
import { distance } from '../../testing/operator-check.js';
import { convolutionalNetworks, denseNetworks, residualNetworks } from '../../testing/random-networks.js';
import { BATCH, excess, marginsOf, randomFeeds, unstableNeurons } from '../../testing/relaxation-margins.js';
import { sampleActivations } from '../../testing/sampled-activations.js';
import { interval } from '../interval.js';
import { alphaCrown } from '../linear/alpha-crown.js';
import { crown } from '../linear/crown.js';
import { crownIbp } from '../linear/crown-ibp.js';
import { exact, exactWith } from './exact.js';
import { linearProgram, linearProgramWith } from './linear-program.js';

const networks = fc.oneof(denseNetworks, convolutionalNetworks({ min: 1, max: 2 }), residualNetworks);
const SOLVER = 1e-8;

const planeNetwork = (hidden: number, classes: number): Network =>
  chain(
    'plane',
    [2, 1, 1],
    [linearLayer([2, 1, 1], hidden), reluLayer([hidden, 1, 1]), linearLayer([hidden, 1, 1], classes)],
  );

/**
 * Minima of the margins of a network of one hidden layer over a rectangle, from the definition: a piecewise
 * linear function is least in a corner of one of its pieces, where two of the lines on which a neuron is zero
 * or a side of the rectangle lies meet.
 */
function planeMinima(hidden: number, classes: number, feeds: Feeds): Float64Array {
  const [w, b, v, c] = ['0.weight', '0.bias', '2.weight', '2.bias'].map(
    (name) => feeds[name] as Float64Array,
  ) as [Float64Array, Float64Array, Float64Array, Float64Array];
  const minima = new Float64Array((classes - 1) * BATCH).fill(Number.POSITIVE_INFINITY);
  for (let image = 0; image < BATCH; image++) {
    const end = (side: 'lower' | 'upper', i: number) => feeds[side]?.[i * BATCH + image] as number;
    const label = feeds.labels?.[image] as number;
    const lines: [number, number, number][] = Array.from({ length: hidden }, (_, h) => [
      w[2 * h] as number,
      w[2 * h + 1] as number,
      -(b[h] as number),
    ]);
    for (const side of ['lower', 'upper'] as const) lines.push([1, 0, end(side, 0)], [0, 1, end(side, 1)]);
    for (const [i, [p, q, r]] of lines.entries())
      for (const [s, t, z] of lines.slice(0, i)) {
        const determinant = p * t - q * s;
        const x = (r * t - q * z) / determinant;
        const y = (p * z - r * s) / determinant;
        const inside = (value: number, k: number) =>
          value >= end('lower', k) - 1e-12 && value <= end('upper', k) + 1e-12;
        if (!inside(x, 0) || !inside(y, 1)) continue;
        const activations = Array.from({ length: hidden }, (_, h) =>
          Math.max(0, (w[2 * h] as number) * x + (w[2 * h + 1] as number) * y + (b[h] as number)),
        );
        const logit = (k: number) =>
          activations.reduce((sum, a, h) => sum + (v[k * hidden + h] as number) * a, c[k] as number);
        Array.from({ length: classes }, (_, k) => k)
          .filter((k) => k !== label)
          .forEach((k, row) => {
            minima[row * BATCH + image] = Math.min(
              minima[row * BATCH + image] as number,
              logit(label) - logit(k),
            );
          });
      }
  }
  return minima;
}

describe('the minimum of a margin', () => {
  it('is that of the corners of all linear pieces, for one hidden layer over the plane', async () => {
    let bent = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 2, max: 4 }),
        fc.nat(),
        async (hidden, classes, seed) => {
          const net = planeNetwork(hidden, classes);
          const feeds = randomFeeds(net, seed, 1);
          const [found, relaxed] = (await marginsOf([exact, linearProgram], net, feeds)) as [
            Float64Array,
            Float64Array,
          ];
          const minima = planeMinima(hidden, classes, feeds);
          expect(distance(found, minima)).toBeLessThan(SOLVER);
          if (excess(minima, relaxed) > 1e-3) bent++;
        },
      ),
      { numRuns: 15 },
    );
    expect(bent).toBeGreaterThan(0);
  });

  it('lies below every sampled point and above every relaxation: ibp, crown-ibp ≤ lp from intervals ≤ lp, crown ≤ lp ≤ exact', async () => {
    let [attained, gaps] = [0, 0];
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), fc.constantFrom(0.05, 0.1, 0.3), async (net, seed, epsilon) => {
        const feeds = randomFeeds(net, seed, epsilon);
        const looser = [linearProgram, linearProgramWith({ intermediate: 'ibp' }), crown, crownIbp, interval];
        const [best, ...bounds] = (await marginsOf([exact, ...looser], net, feeds)) as [
          Float64Array,
          ...Float64Array[],
        ];
        const met = (await sampleActivations(net, feeds, 200, 6, seed)).margins.least;
        expect(excess(best, met), 'exact above a sample').toBeLessThan(1e-9);
        for (const [i, margins] of bounds.entries())
          expect(excess(margins, best), `${looser[i]?.name} above exact`).toBeLessThan(SOLVER);
        const [lp, lpIntervals, ofCrown, ofCrownIbp, ofIntervals] = bounds as [
          Float64Array,
          Float64Array,
          Float64Array,
          Float64Array,
          Float64Array,
        ];
        expect(excess(ofCrown, lp), 'crown above lp').toBeLessThan(SOLVER);
        expect(excess(ofIntervals, lp), 'ibp above lp').toBeLessThan(SOLVER);
        expect(excess(lpIntervals, lp), 'lp from intervals above lp').toBeLessThan(SOLVER);
        expect(
          excess(ofCrownIbp, lpIntervals),
          'crown-ibp above lp with the same bounds of neurons',
        ).toBeLessThan(SOLVER);
        if (excess(best, lp) > 1e-4) gaps++;
        if (distance(best, met) < 1e-3) attained++;
      }),
      { numRuns: 12 },
    );
    expect(gaps).toBeGreaterThan(0);
    expect(attained).toBeGreaterThan(1); // it is a minimum, not just a bound
  });

  it('does not depend on the bounds of neurons that it begins with', async () => {
    await fc.assert(
      fc.asyncProperty(denseNetworks, fc.nat(), async (net, seed) => {
        const [a, b] = (await marginsOf(
          [exact, exactWith({ intermediate: 'ibp' })],
          net,
          randomFeeds(net, seed, 0.2),
        )) as [Float64Array, Float64Array];
        expect(distance(a, b)).toBeLessThan(SOLVER);
      }),
      { numRuns: 8 },
    );
  });

  it('is what CROWN and LP give where no neuron is unstable', async () => {
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), async (net, seed) => {
        const feeds = randomFeeds(net, seed, 0.3);
        // Biases so large that every neuron keeps its sign, some on and some off.
        const far = Object.entries(feeds).map(([name, values]) => [
          name,
          name.endsWith('.bias') ? values.map((b, i) => b + (i % 3 === 2 ? -1e3 : 1e3)) : values,
        ]);
        // Layers of large values may still cancel.
        fc.pre((await unstableNeurons(net, Object.fromEntries(far))) === 0);
        const [best, ...others] = (await marginsOf(
          [exact, linearProgram, alphaCrown, crown, crownIbp],
          net,
          Object.fromEntries(far),
        )) as [Float64Array, ...Float64Array[]];
        for (const margins of others) expect(distance(margins, best)).toBeLessThan(1e-11);
      }),
      { numRuns: 6 },
    );
  });

  it('is refused in one line when there is no time to find it', async () => {
    const net = planeNetwork(9, 3);
    await expect(marginsOf([exactWith({ seconds: 1e-9 })], net, randomFeeds(net, 3, 1))).rejects.toThrow(
      /^exact, image 0, margin \d: expected the minimum over \d+ signs, but the search ran out of 1e-9 s; give it more time, [^\n]*$/,
    );
    expect(() => exactWith({ seconds: 0 }).bound({} as never)).toThrow(
      /^exact: expected a time limit above 0 seconds, got 0; /,
    );
  });
});
