import { describe, expect, it } from 'vitest';
import { propertyCases, safe, unsafe } from '../../testing/property-cases.js';
import { searchEngines } from '../../testing/search-engines.js';
import {
  decide,
  decideOnInputs,
  decideOnRelus,
  denseNetwork,
  expectNoProof,
} from '../../testing/searches.js';
import type { Polytope } from '../property/property.js';

const engineOf = searchEngines();

describe('both ways to divide', () => {
  it('give the same verdicts, however near to the minimum the property lies', async () => {
    let both = 0;
    for (const net of [denseNetwork(3, 8, 2), denseNetwork(4, 6, 6, 3)])
      for (const of of await propertyCases(net, 404, 6))
        for (const gap of [0.1, 0.01, 1e-3]) {
          const engine = engineOf(net, of.parameters);
          for (const polytope of [safe(of, gap), unsafe(of, gap)]) {
            const [onInputs, onRelus] = [
              await decideOnInputs(engine, [polytope]),
              await decideOnRelus(engine, [polytope]),
            ];
            const verdicts = [onInputs.verdict, onRelus.verdict].filter((verdict) => verdict !== 'open');
            expect(new Set(verdicts).size).toBeLessThanOrEqual(1);
            if (verdicts.length === 2) both++;
          }
        }
    expect(both).toBeGreaterThan(40);
  });
});

describe('the search', () => {
  it.each([denseNetwork(3, 8, 2), denseNetwork(4, 6, 6, 3)])(
    '$name: gives the same verdicts with as many columns as a device takes',
    async (net) => {
      let decided = 0;
      for (const of of await propertyCases(net, 77, 4))
        for (const gap of [0.1, 0.01]) {
          const engine = engineOf(net, of.parameters);
          for (const polytope of [safe(of, gap), unsafe(of, gap)]) {
            const [few, many] = [
              await decide(engine, [polytope]),
              await decide({ ...engine, columns: 2048 }, [polytope]),
            ];
            const verdicts = [few.verdict, many.verdict].filter((verdict) => verdict !== 'open');
            expect(new Set(verdicts).size).toBeLessThanOrEqual(1);
            if (verdicts.length === 2) decided++;
          }
        }
      expect(decided).toBeGreaterThan(10);
    },
  );

  it.each([
    denseNetwork(3, 6, 6, 2),
    denseNetwork(16, 8, 3),
    denseNetwork(16, 6, 6, 2),
    denseNetwork(22, 6, 6, 2),
  ])(
    '$name: conjunctions over outputs and inputs that are reached are never proved, nor others refuted',
    async (net) => {
      let [proved, found] = [0, 0];
      for (const rows of [1, 2])
        for (const of of await propertyCases(net, 3 * rows, 5, { rows, mixed: true, epsilon: 0.2 })) {
          const engine = engineOf(net, of.parameters);
          const answer = await decide(engine, [safe(of, 0.02), safe(of, 0.3)]);
          expect(answer.verdict).not.toBe('found');
          if (answer.verdict === 'proved') proved++;
          const reached = [safe(of, 0.3), unsafe(of, 0.02)];
          if (expectNoProof(await decide(engine, reached), reached)) found++;
        }
      expect(proved).toBeGreaterThan(4);
      expect(found).toBeGreaterThan(4);
    },
  );

  /** The same inputs as another box. */
  const apart = (polytope: Polytope): Polytope => ({ ...polytope, box: { ...polytope.box } });

  it.each([denseNetwork(3, 8, 2), denseNetwork(16, 8, 3), denseNetwork(22, 8, 3)])(
    '$name: that is stopped has no bound of what it has not begun',
    async (net) => {
      let open = 0;
      for (const of of await propertyCases(net, 21, 4, { epsilon: 0.3 }))
        for (let calls = 0; calls <= 12; calls++) {
          const { verdict, lowerBound } = await decide(
            engineOf(net, of.parameters),
            [safe(of, 1e-3), apart(unsafe(of, 0.5))],
            calls,
          );
          expect(verdict).not.toBe('proved');
          if (calls === 0)
            expect({ verdict, lowerBound }).toEqual({
              verdict: 'open',
              lowerBound: Number.NEGATIVE_INFINITY,
            });
          if (verdict === 'found') continue;
          expect(lowerBound).toBeLessThanOrEqual(-0.5 * (1 + Math.abs(of.least)) + 1e-5);
          open++;
        }
      expect(open).toBeGreaterThan(3);
    },
  );

  it('finds what is reached in one box though another can neither be proved nor refuted', async () => {
    const net = denseNetwork(16, 8, 3);
    let open = 0;
    for (const of of await propertyCases(net, 55, 6, { epsilon: 0.2 })) {
      const engine = engineOf(net, of.parameters);
      const nearest = safe(of, 1e-9);
      if ((await decide(engine, [nearest])).reason !== 'leaves') continue;
      open++;
      expect(await decide(engine, [nearest, apart(unsafe(of, 0.3))])).toMatchObject({
        verdict: 'found',
        counterexample: { polytope: 1 },
      });
    }
    expect(open).toBeGreaterThan(1);
  });
});
