import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { propertyCases, safe, unsafe } from '../../testing/property-cases.js';
import { searchEngines } from '../../testing/search-engines.js';
import { decideOnRelus, denseNetwork, expectNoProof, residualNetwork } from '../../testing/searches.js';
import { enclosingBox } from '../proof/rounding.js';
import { createHiddenBounding } from './hidden-bounds.js';
import type { Subproblem } from './relu-programs.js';
import { branchOf, splitRelus } from './relu-splitting.js';

const engineOf = searchEngines();
const GAP = 0.02;

const networks = [
  { net: denseNetwork(16, 10, 2), epsilon: 0.2 },
  { net: denseNetwork(20, 8, 8, 3), epsilon: 0.15 },
  { net: denseNetwork(3, 8, 8, 8, 2), epsilon: 0.3 },
  { net: residualNetwork, epsilon: 0.1 },
].map((made) => ({ ...made, name: made.net.name }));

describe('signs of ReLUs, beside the exact minimum', () => {
  it.each(networks)(
    '$name: what is not reached is mostly proved and never refuted, what is reached never proved',
    async ({ net, epsilon }) => {
      let [proved, found, cases] = [0, 0, 0];
      for (const mixed of [false, true])
        for (const of of await propertyCases(net, 31, 6, { epsilon, mixed })) {
          const engine = engineOf(net, of.parameters);
          const answer = await decideOnRelus(engine, [safe(of, GAP)]);
          expect(answer.verdict).not.toBe('found');
          expect(answer.lowerBound).toBeLessThanOrEqual(GAP * (1 + Math.abs(of.least)) + 1e-5);
          if (answer.verdict === 'proved') proved++;
          const reached = [unsafe(of, GAP)];
          if (expectNoProof(await decideOnRelus(engine, reached), reached)) found++;
          cases++;
        }
      // A leaf whose ascent has not come far enough stays open.
      expect(proved / cases).toBeGreaterThan(0.8);
      expect(found / cases).toBeGreaterThan(0.6);
    },
  );

  it('of several goals all must be out of reach for a proof', async () => {
    const net = denseNetwork(16, 10, 2);
    for (const [k, of] of (await propertyCases(net, 99, 6, { epsilon: 0.2 })).entries()) {
      const engine = engineOf(net, of.parameters);
      const goals = [GAP, 0.1, 0.5].map((gap) => safe(of, gap));
      expect((await decideOnRelus(engine, goals)).verdict).not.toBe('found');
      const one = goals.map((goal, at) => (at === k % 3 ? unsafe(of, GAP) : goal));
      const answer = await decideOnRelus(engine, one);
      if (expectNoProof(answer, one)) expect(answer.counterexample?.polytope).toBe(k % 3);
    }
  });

  it('names the goals of which something is open', async () => {
    const net = denseNetwork(16, 6, 2);
    let leaves = 0;
    for (const of of await propertyCases(net, 5, 6, { epsilon: 0.2 })) {
      const engine = engineOf(net, of.parameters);
      const box = enclosingBox(of.polytope.box);
      const hidden = await createHiddenBounding(engine).bound(box, { iterations: 0 });
      // The last is touched: its last part is neither proved nor refuted without a linear program.
      const goals = [0.5, GAP, 0].flatMap((gap) =>
        safe(of, gap).unsafe.map(({ outputs, bound }) => ({ coefficients: outputs, threshold: bound })),
      );
      const found = async () => false;
      const { verdict, open, reason } = await splitRelus(engine, {
        ...{ box, hidden, goals, memoryBytes: 2 ** 26, found },
      });
      expect(open.length > 0).toBe(verdict === 'open');
      if (reason === 'leaves' && open.includes(2)) leaves++;
    }
    expect(leaves).toBeGreaterThan(3);
  });

  it('ends without a proof where time or memory ends, its bound still one', async () => {
    const net = denseNetwork(20, 8, 8, 3);
    for (const of of await propertyCases(net, 13, 3, { epsilon: 0.4 })) {
      const slack = 1e-3 * (1 + Math.abs(of.least));
      let calls = 0;
      const late = await decideOnRelus(
        engineOf(net, of.parameters, () => calls++ > 6),
        [safe(of, 1e-3)],
      );
      const small = await decideOnRelus(engineOf(net, of.parameters), [safe(of, 1e-3)], 1);
      for (const { verdict, lowerBound } of [late, small]) {
        expect(verdict).not.toBe('found');
        expect(lowerBound).toBeLessThanOrEqual(slack + 1e-5);
      }
      expect(['time', 'leaves', 'proved']).toContain(late.reason ?? late.verdict);
      expect(['memory', 'leaves', 'proved']).toContain(small.reason ?? small.verdict);
    }
  });
});

describe('the branch that bounds of children leave', () => {
  const root: Subproblem = {
    goal: 0,
    decisions: [],
    alpha: new Uint8Array(8),
    beta: [],
    bound: Number.NEGATIVE_INFINITY,
  };
  const bound = fc.constantFrom(-2, -0.5, 0, 0.5, 2);
  const candidates = fc.array(fc.tuple(bound, bound), { minLength: 1, maxLength: 8 });

  it('holds every point that is not proved: a decided sign is the sibling of a proved one', () => {
    fc.assert(
      fc.property(candidates, (bounds) => {
        const [branch] = branchOf(
          root,
          bounds.map((_, i) => i),
          (i) => bounds[i] as [number, number],
        );
        const closed = bounds.some(([active, inactive]) => active > 0 && inactive > 0);
        expect(branch === undefined).toBe(closed);
        if (branch === undefined) return;
        for (const decision of branch.decisions) {
          const [active, inactive] = bounds[decision < 0 ? ~decision : decision] as [number, number];
          // z ≥ 0 stays where z ≤ 0 is proved, and the other way round.
          expect(decision >= 0 ? inactive : active).toBeGreaterThan(0);
          expect(decision >= 0 ? active : inactive).toBeLessThanOrEqual(0);
        }
        expect([...branch.next, ...branch.decisions.map((d) => (d < 0 ? ~d : d))].sort()).toEqual(
          bounds.map((_, i) => i),
        );
      }),
    );
  });
});
