import { describe, expect, it } from 'vitest';
import { leastViolations } from '../../testing/exact-oracle.js';
import { type PropertyCase, propertyCases } from '../../testing/property-cases.js';
import { searchEngines } from '../../testing/search-engines.js';
import { denseNetwork } from '../../testing/searches.js';
import { enclosingBox } from '../proof/rounding.js';
import type { Ends, Engine } from './engine.js';
import { createHiddenBounding } from './hidden-bounds.js';
import { hullBounds } from './hull-bounds.js';
import { hullNodes } from './hull-choice.js';
import { unstableRelus } from './unstable.js';

const engineOf = searchEngines();
const WIDTHS = [8, 7, 6, 3];
const net = denseNetwork(12, ...WIDTHS);
const ROUNDING = 1e-5;

/** What is known of a case without sides, and what it takes to bound it with them. */
async function regionOf(engine: Engine, { polytope }: PropertyCase) {
  const box = enclosingBox(polytope.box);
  const hidden = await createHiddenBounding(engine).bound(box, { iterations: 20 });
  const from = hullNodes(engine, unstableRelus(engine, net, hidden));
  return { box, hidden, from, secondsLeft: () => 1e6 };
}

/** Exact ends of what ReLU `node` reads, of some neurons: the network up to there is one, too. */
async function exactEnds(node: number, neurons: readonly number[], { parameters, polytope }: PropertyCase) {
  const widths = WIDTHS.slice(0, (node + 1) / 2);
  const prefix = denseNetwork(12, ...widths);
  const own = Object.fromEntries(
    Object.entries(parameters).filter(([name]) => Number.parseInt(name, 10) < node),
  );
  const instances = neurons.flatMap((neuron) =>
    [1, -1].map((sign) => {
      const outputs = new Float64Array(prefix.classes);
      outputs[neuron] = sign;
      return { parameters: own, polytope: { box: polytope.box, unsafe: [{ outputs, bound: 0 }] } };
    }),
  );
  const least = instances.length === 0 ? [] : await leastViolations(prefix, instances);
  return neurons.map((_, j) => ({ lower: least[2 * j] as number, upper: -(least[2 * j + 1] as number) }));
}

const openOf = ({ lower, upper }: Ends): number[] =>
  [...lower.keys()].filter((i) => (lower[i] as number) < 0 && (upper[i] as number) > 0);

describe('hidden bounds by sides of hulls', () => {
  it.each([1, 2, 8])('of %i neurons together enclose the exact ones and are narrower', async (together) => {
    let [before, after, least, neurons] = [0, 0, 0, 0];
    for (const of of await propertyCases(net, 11, 5, { epsilon: 0.5 })) {
      const engine = engineOf(net, of.parameters);
      const region = await regionOf(engine, of);
      const found = await hullBounds(engine, { ...region, together });
      for (const [node, ends] of found) {
        const known = region.hidden.get(node) as Ends;
        const open = openOf(known);
        for (const [j, exact] of (await exactEnds(node, open, of)).entries()) {
          const i = open[j] as number;
          const [l, u] = [ends.lower[i] as number, ends.upper[i] as number];
          expect(l).toBeLessThanOrEqual(exact.lower + ROUNDING * (1 + Math.abs(exact.lower)));
          expect(u).toBeGreaterThanOrEqual(exact.upper - ROUNDING * (1 + Math.abs(exact.upper)));
          if (node === 1) continue; // intervals are exact there
          before += (known.upper[i] as number) - (known.lower[i] as number);
          after += u - l;
          least += exact.upper - exact.lower;
          neurons++;
        }
      }
    }
    expect(neurons).toBeGreaterThan(20);
    expect(after - least).toBeLessThan(0.8 * (before - least));
  });

  it('stay as they are known where there is no time', async () => {
    const [of] = await propertyCases(net, 3, 1, { epsilon: 0.5 });
    const engine = engineOf(net, (of as PropertyCase).parameters);
    const region = await regionOf(engine, of as PropertyCase);
    const changed = async (secondsLeft: () => number) =>
      [...(await hullBounds(engine, { ...region, secondsLeft }))].flatMap(([node, ends]) =>
        ends === region.hidden.get(node) ? [] : [node],
      );
    expect(await changed(() => 0)).toEqual([]);
    expect(await changed(() => 1e6)).toEqual([3, 5]);
  });
});
