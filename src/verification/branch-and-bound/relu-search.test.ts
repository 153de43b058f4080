import { describe, expect, it, test } from 'vitest';
import { INPUT } from '../../network/network.js';
import { propertyCases, safe, unsafe } from '../../testing/property-cases.js';
import { searchEngines } from '../../testing/search-engines.js';
import { convolutionalNetwork, decideOnRelus, denseNetwork, expectNoProof } from '../../testing/searches.js';
import { enclosingBox } from '../proof/rounding.js';
import { createHiddenBounding } from './hidden-bounds.js';
import { chooseHulls, hullNodes, hullNumbers } from './hull-choice.js';
import { searchSigns } from './relu-search.js';
import { splitRelus } from './relu-splitting.js';

const engineOf = searchEngines();
const GAP = 0.02;
const MEMORY = 2 ** 26;
const net = convolutionalNetwork;
const networks = [net, denseNetwork(16, 10, 6, 3)];

describe.each(networks)('hulls of $name, beside the exact minimum', (net) => {
  it('what is not reached is mostly proved and never refuted, what is reached never proved', async () => {
    let [proved, found, cases] = [0, 0, 0];
    for (const mixed of [false, true])
      for (const of of await propertyCases(net, 57, 6, { epsilon: 0.3, mixed })) {
        const engine = engineOf(net, of.parameters);
        const answer = await decideOnRelus(engine, [safe(of, GAP)], MEMORY, 1);
        expect(answer.verdict).not.toBe('found');
        expect(answer.lowerBound).toBeLessThanOrEqual(GAP * (1 + Math.abs(of.least)) + 1e-5);
        if (answer.verdict === 'proved') proved++;
        const reached = [unsafe(of, GAP)];
        if (expectNoProof(await decideOnRelus(engine, reached, MEMORY, 1), reached)) found++;
        cases++;
      }
    expect(proved / cases).toBeGreaterThan(0.8);
    expect(found / cases).toBeGreaterThan(0.6);
  });

  it('of several goals all must be out of reach for a proof, and each is told by its number', async () => {
    for (const [k, of] of (await propertyCases(net, 99, 6, { epsilon: 0.3 })).entries()) {
      const engine = engineOf(net, of.parameters);
      // The first is proved at the root.
      const goals = [50, 0.1, GAP].map((gap) => safe(of, gap));
      expect((await decideOnRelus(engine, goals, MEMORY, 1)).verdict).not.toBe('found');
      const one = goals.map((goal, at) => (at === 1 + (k % 2) ? unsafe(of, GAP) : goal));
      const answer = await decideOnRelus(engine, one, MEMORY, 1);
      if (expectNoProof(answer, one)) expect(answer.counterexample?.polytope).toBe(1 + (k % 2));
    }
  });

  it('candidates are told of the goal that they are for, by its number among all', async () => {
    const asked: number[] = [];
    let searches = 0;
    for (const of of await propertyCases(net, 99, 6, { epsilon: 0.3 })) {
      const engine = engineOf(net, of.parameters);
      const box = enclosingBox(of.polytope.box);
      const hidden = await createHiddenBounding(engine).bound(box, { iterations: 0 });
      // The first is proved at the root, so that the second is the first of what hulls are chosen for.
      const goals = [safe(of, 50), unsafe(of, GAP)].flatMap((polytope) =>
        polytope.unsafe.map(({ outputs, bound }) => ({ coefficients: outputs, threshold: bound })),
      );
      const found = async (_: unknown, goal: number) => {
        asked.push(goal);
        return false;
      };
      const made: string[] = [];
      const watched = {
        ...engine,
        plan: (...[name, make]: Parameters<typeof engine.plan>) => {
          made.push(name);
          return engine.plan(name, make);
        },
      };
      const options = { box, hidden, goals, memoryBytes: MEMORY, found, patience: 1 };
      await searchSigns(watched, { ...options, secondsLeft: () => 60 });
      if (made.some((name) => name.includes('hull'))) searches++;
    }
    expect(searches).toBeGreaterThan(0);
    expect(new Set(asked)).toEqual(new Set([1]));
  });
});

describe.each(networks)('the choice of hulls of $name', (net) => {
  it('raises bounds above those of triangles, and leaves them below the exact minimum', async () => {
    let [gain, cases] = [0, 0];
    for (const of of await propertyCases(net, 7, 6, { epsilon: 0.3 })) {
      const engine = engineOf(net, of.parameters);
      const box = enclosingBox(of.polytope.box);
      const hidden = await createHiddenBounding(engine).bound(box, { iterations: 0 });
      const goals = of.polytope.unsafe.map(({ outputs, bound }) => ({
        coefficients: outputs,
        threshold: bound,
      }));
      const region = { box, hidden, goals };
      const options = { ...region, memoryBytes: MEMORY, found: async () => false, iterations: 40 };
      const hulls = await chooseHulls(engine, region);
      let first = Number.NEGATIVE_INFINITY;
      let calls = 0;
      const progress = ({ lowerBound }: { lowerBound: number }) => {
        if (calls++ === 0) first = lowerBound;
      };
      const once = { ...engine, expired: () => calls > 0 };
      await splitRelus(once, { ...options, progress });
      const [bound] = hulls.bounds as [number];
      expect(bound).toBeLessThanOrEqual(of.least + 1e-4 * (1 + Math.abs(of.least)));
      if (of.least < 0) {
        gain += bound - first;
        cases++;
        expect(bound).toBeGreaterThan(first - 0.01);
      }
    }
    expect(gain).toBeGreaterThan(0.02 * cases);
  });

  it('is left out where a part is to be traced, and in float64', async () => {
    const ways: [object, object][] = [
      [{}, { proved: () => {} }],
      [{ dtype: 'float64' }, {}],
    ];
    for (const [changed, more] of ways) {
      const [one] = await propertyCases(net, 3, 1, { epsilon: 0.3 });
      if (one === undefined) throw new Error('expected a case');
      const made: string[] = [];
      const base = { ...engineOf(net, one.parameters), ...changed };
      const engine: typeof base = {
        ...base,
        plan: (name, make) => {
          made.push(name);
          return base.plan(`${'dtype' in changed ? 'float64 ' : ''}${name}`, make);
        },
        run: (plan, feeds) =>
          base.run(plan, 'dtype' in changed ? { ...doubles(one.parameters), ...feeds } : feeds),
      };
      const box = enclosingBox(one.polytope.box);
      const ends =
        'dtype' in changed
          ? { lower: Float64Array.from(box.lower), upper: Float64Array.from(box.upper) }
          : box;
      const hidden = await createHiddenBounding(engine).bound(ends, { iterations: 0 });
      const goals = safe(one, GAP).unsafe.map(({ outputs, bound }) => ({
        coefficients: outputs,
        threshold: bound,
      }));
      const found = async () => false;
      const options = { box: ends, hidden, goals, memoryBytes: MEMORY, found, patience: 1, ...more };
      await searchSigns(engine, { ...options, secondsLeft: () => 60 });
      expect(made.filter((name) => name.includes('hull'))).toEqual([]);
    }
  });
});

test('sides are of the smallest layers, while all of them fit', () => {
  const engine = { network: denseNetwork(16, 10, 6, 3) };
  const of = (first: number, second: number) => ({ capacity: { 1: first, 3: second } });
  expect(hullNodes(engine, of(8, 8))).toEqual({ 1: INPUT, 3: 1 });
  expect(hullNumbers(engine, of(8, 8))).toBe(16 * 8 + 10 * 8);
  expect(hullNodes(engine, of(2 ** 20, 8))).toEqual({ 3: 1 });
  expect(hullNumbers(engine, of(2 ** 20, 8))).toBe(10 * 8);
});

const doubles = (parameters: Readonly<Record<string, Float32Array>>) =>
  Object.fromEntries(Object.entries(parameters).map(([name, array]) => [name, Float64Array.from(array)]));
