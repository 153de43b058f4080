import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { featuresOf } from '../../network/layers/layer.js';
import { uniformNumbers } from '../../testing/numbers.js';
import {
  propertyCases,
  randomInequalities,
  safe,
  singleBox,
  singleParameters,
  unsafe,
} from '../../testing/property-cases.js';
import { smoothNetworks } from '../../testing/random-networks.js';
import { searchEngines } from '../../testing/search-engines.js';
import { decideOnInputs, denseNetwork, evaluationOf, expectNoProof } from '../../testing/searches.js';
import { violation } from '../property/property.js';

const engineOf = searchEngines();
const GAP = 0.02;
const networks = [denseNetwork(2, 8, 2), denseNetwork(3, 6, 6, 3), denseNetwork(4, 5, 5, 5, 2)];

describe('halves of the input box, beside the exact minimum', () => {
  const all = [false, true].flatMap((partByPart) =>
    networks.map((net) => ({ name: net.name, net, partByPart })),
  );
  it.each(all)(
    '$name, part by part $partByPart: what is not reached is proved, what is reached never, and its input found',
    async ({ net, partByPart }) => {
      let found = 0;
      for (const rows of [1, 2, 3])
        for (const of of await propertyCases(net, 10 * rows, 5, { rows, mixed: true })) {
          const engine = engineOf(net, of.parameters);
          const proof = await decideOnInputs(engine, [safe(of, GAP)], undefined, partByPart);
          expect(proof).toMatchObject({ verdict: 'proved' });
          expect(proof.counterexample).toBeUndefined();
          const reached = [unsafe(of, GAP)];
          const answer = await decideOnInputs(engine, reached, undefined, partByPart);
          if (expectNoProof(answer, reached)) found++;
        }
      expect(found).toBe(15);
    },
  );

  it('of several polytopes on two boxes all must be out of reach for a proof', async () => {
    const net = networks[1] as (typeof networks)[number];
    const cases = await propertyCases(net, 77, 6, { rows: 2, mixed: true });
    for (const [k, first] of cases.entries()) {
      // The others' minima belong to other parameters: only those of this network's are known.
      const engine = engineOf(net, first.parameters);
      const { box } = first.polytope;
      const half = {
        lower: box.lower,
        upper: box.upper.map((u, i) => (i === 0 ? ((box.lower[0] as number) + u) / 2 : u)),
      };
      const near = [GAP, 2 * GAP, 0.5].map((gap) => safe(first, gap));
      const polytopes = [...near, { ...(near[0] as (typeof near)[number]), box: half }];
      expect(await decideOnInputs(engine, polytopes)).toMatchObject({ verdict: 'proved' });
      const one = polytopes.map((polytope, at) => (at === k % 3 ? unsafe(first, GAP) : polytope));
      const answer = await decideOnInputs(engine, one);
      expect(expectNoProof(answer, one)).toBe(true);
      expect(answer.counterexample?.polytope).toBe(k % 3);
    }
  });

  it('ends without a proof where time or memory ends', async () => {
    const net = networks[1] as (typeof networks)[number];
    for (const of of await propertyCases(net, 5, 3, { epsilon: 1 })) {
      const polytopes = [safe(of, 1e-4)];
      let calls = 0;
      const late = await decideOnInputs(
        engineOf(net, of.parameters, () => calls++ > 2),
        polytopes,
      );
      expect(late.verdict === 'open' ? late.reason : 'proved at once').toBe(
        late.verdict === 'open' ? 'time' : 'proved at once',
      );
      const small = await decideOnInputs(engineOf(net, of.parameters), polytopes, 1);
      expect(['proved', 'memory']).toContain(small.reason ?? small.verdict);
      for (const { lowerBound } of [late, small])
        expect(lowerBound).toBeLessThanOrEqual(1e-4 * (1 + Math.abs(of.least)) + 1e-5);
    }
  });
});

it('with smooth activations a proof contradicts no sample, and only true counterexamples are found', async () => {
  const verdicts = { proved: 0, found: 0, open: 0 };
  const small = smoothNetworks.filter((net) => featuresOf(net.input) <= 6);
  await fc.assert(
    fc.asyncProperty(
      small,
      fc.nat(1e6),
      fc.double({ min: -3, max: 3, noNaN: true }),
      async (net, seed, bound) => {
        const box = singleBox(net, seed, 0.1);
        const polytope = {
          box,
          unsafe: randomInequalities(net, seed, 2, true).map((row) => ({ ...row, bound })),
        };
        let calls = 0;
        const engine = engineOf(net, singleParameters(net, seed), () => calls++ > 60);
        const answer = await decideOnInputs(engine, [polytope]);
        verdicts[answer.verdict]++;
        if (answer.verdict !== 'proved') {
          expectNoProof(answer, [polytope]);
          return;
        }
        const evaluate = evaluationOf(engine);
        for (let sample = 0; sample < 100; sample++) {
          const u = uniformNumbers(`sample ${sample} ${seed}`, box.lower.length);
          const x = Float32Array.from(
            box.lower,
            (low, i) => low + (u[i] as number) * ((box.upper[i] as number) - low),
          );
          expect(violation(polytope, x, await evaluate(x))).toBeGreaterThan(0);
        }
      },
    ),
    { numRuns: 8 },
  );
  expect(verdicts.proved + verdicts.found).toBeGreaterThan(3);
});

it.each([false, true])('sums beyond float32 prove nothing (part by part: %s)', async (partByPart) => {
  // y = 2e38 + 2e38 − 3.4e38 − 0.7e38 = −0.1e38 for every x, while float32 sums reach +∞ on the way.
  const net = denseNetwork(1, 4, 1);
  for (const order of [
    [2e38, 2e38, -3.4e38, -0.7e38],
    [2e38, -3.4e38, 2e38, -0.7e38],
    [-0.7e38, -3.4e38, 2e38, 2e38],
  ]) {
    const parameters = {
      '0.weight': new Float32Array(4),
      '0.bias': new Float32Array(4).fill(1),
      '2.weight': Float32Array.from(order),
      '2.bias': new Float32Array(1),
    };
    const box = { lower: Float64Array.of(-1), upper: Float64Array.of(1) };
    const polytope = { box, unsafe: [{ outputs: Float64Array.of(1), bound: 0 }] };
    const { verdict } = await decideOnInputs(engineOf(net, parameters), [polytope], 2 ** 12, partByPart);
    expect(verdict).not.toBe('proved');
  }
});
