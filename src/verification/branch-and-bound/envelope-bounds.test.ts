import { describe, expect, it } from 'vitest';
import { nodeValues } from '../../testing/dual-cases.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { propertyCases } from '../../testing/property-cases.js';
import { searchEngines } from '../../testing/search-engines.js';
import { convolutionalNetwork, denseNetwork } from '../../testing/searches.js';
import { enclosingBox } from '../proof/rounding.js';
import type { Ends } from './engine.js';
import { envelopeBounds } from './envelope-bounds.js';
import { createHiddenBounding } from './hidden-bounds.js';
import { hullNodes } from './hull-choice.js';
import { unstableRelus } from './unstable.js';

const engineOf = searchEngines();
const SAMPLES = 400;
const ROUNDING = 1e-5;

describe('bounds of the second convolution', () => {
  it('hold at every point of the box, and are drawn in beside those of triangles', async () => {
    let [before, after, cases] = [0, 0, 0];
    for (const of of await propertyCases(convolutionalNetwork, 21, 8, { epsilon: 0.3 })) {
      const engine = engineOf(convolutionalNetwork, of.parameters);
      const box = enclosingBox(of.polytope.box);
      const hidden = await createHiddenBounding(engine).bound(box, { iterations: 20 });
      const from = hullNodes(engine, unstableRelus(engine, engine.network, hidden));
      const found = await envelopeBounds(engine, { box, hidden, from });
      if (found === undefined) throw new Error('expected a second convolution');
      const { node, ends } = found;
      const known = hidden.get(node) as Ends;
      const points = uniformNumbers(`points ${cases}`, box.lower.length * SAMPLES).map((u, at) => {
        const [l, r] = [box.lower, box.upper].map((end) => end[Math.floor(at / SAMPLES)] as number);
        return (l as number) + (at % 2 === 0 ? u : Math.round(u)) * ((r as number) - (l as number));
      });
      const parameters = Object.fromEntries(
        Object.entries(of.parameters).map(([name, array]) => [name, Float64Array.from(array)]),
      );
      const values = await nodeValues(engine.network, parameters, points);
      const reads = values[engine.network.nodes[node]?.inputs[0] as number] as Float64Array;
      reads.forEach((z, at) => {
        const i = Math.floor(at / SAMPLES);
        expect(z).toBeGreaterThanOrEqual((ends.lower[i] as number) - ROUNDING);
        expect(z).toBeLessThanOrEqual((ends.upper[i] as number) + ROUNDING);
      });
      known.lower.forEach((l, i) => {
        const u = known.upper[i] as number;
        if (!(l < 0 && u > 0)) return;
        before += u - l;
        after += (ends.upper[i] as number) - (ends.lower[i] as number);
      });
      cases++;
    }
    expect(after).toBeLessThan(0.99 * before);
  });

  it('stay where they are without a second convolution, and where there is no time', async () => {
    const dense = denseNetwork(16, 10, 2);
    for (const [net, over] of [
      [dense, () => false],
      [convolutionalNetwork, () => true],
    ] as const) {
      const [of] = await propertyCases(net, 3, 1, { epsilon: 0.3 });
      if (of === undefined) throw new Error('expected a case');
      const engine = engineOf(net, of.parameters);
      const box = enclosingBox(of.polytope.box);
      const hidden = await createHiddenBounding(engine).bound(box, { iterations: 0 });
      const from = hullNodes(engine, unstableRelus(engine, engine.network, hidden));
      const found = await envelopeBounds(engine, { box, hidden, from, over });
      expect(found?.ends).toEqual(net === dense ? undefined : hidden.get(found?.node as number));
    }
  });
});
