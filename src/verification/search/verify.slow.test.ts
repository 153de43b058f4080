import { afterAll, describe, expect, it } from 'vitest';
import { convolutionLayer } from '../../network/layers/convolution.js';
import { type Extents, joinLayer, type Layer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain, INPUT, type Network, network } from '../../network/network.js';
import { createPool } from '../../runtime/pool/pool.js';
import { type PropertyCase, propertyCases, safe, unsafe } from '../../testing/property-cases.js';
import { searchEngines } from '../../testing/search-engines.js';
import { type Decision, decide, denseNetwork, expectNoProof, expectTrue } from '../../testing/searches.js';
import type { Polytope } from '../property/property.js';
import { verify } from './verify.js';

const engineOf = searchEngines();
const pool = createPool(1);
afterAll(() => pool.close());

/** A convolution of 16 pixels and a linear layer. */
function convolutional(): Network {
  const convolution = convolutionLayer([1, 4, 4], {
    channels: 2,
    kernel: [3, 3],
    stride: [2, 2],
    padding: [1, 1, 1, 1],
  });
  return chain(
    'convolutional',
    [1, 4, 4],
    [
      convolution,
      reluLayer(convolution.output),
      linearLayer(convolution.output, 5),
      reluLayer([5, 1, 1]),
      linearLayer([5, 1, 1], 2),
    ],
  );
}

/** A block whose input joins its output, between convolutions of 15 pixels. */
function residual(): Network {
  const extents: Extents = [1, 3, 5];
  const convolution = (): Layer =>
    convolutionLayer(extents, { channels: 1, kernel: [3, 3], padding: [1, 1, 1, 1] });
  return network('residual', extents, [
    { layer: convolution(), inputs: [INPUT] },
    { layer: reluLayer(extents), inputs: [0] },
    { layer: convolution(), inputs: [1] },
    { layer: joinLayer(extents), inputs: [2, 1] },
    { layer: reluLayer(extents), inputs: [3] },
    { layer: linearLayer(extents, 3), inputs: [4] },
  ]);
}

interface Family {
  readonly net: Network;
  readonly epsilon: number;
  readonly count: number;
}

/** From 2 to 20 inputs; those of more than 12 are searched on the signs of ReLUs. */
const families: readonly Family[] = [
  { net: denseNetwork(2, 12, 2), epsilon: 1, count: 20 },
  { net: denseNetwork(2, 8, 8, 8, 2), epsilon: 0.5, count: 16 },
  { net: denseNetwork(3, 10, 10, 3), epsilon: 0.3, count: 16 },
  { net: denseNetwork(6, 8, 2), epsilon: 0.2, count: 16 },
  { net: denseNetwork(13, 12, 2), epsilon: 0.3, count: 20 },
  { net: denseNetwork(16, 10, 2), epsilon: 0.3, count: 20 },
  { net: denseNetwork(20, 8, 8, 3), epsilon: 0.15, count: 16 },
  { net: denseNetwork(14, 6, 6, 6, 2), epsilon: 0.3, count: 16 },
  { net: convolutional(), epsilon: 0.15, count: 16 },
  { net: residual(), epsilon: 0.1, count: 16 },
];

/**
 * Distances of the property from the exact minimum, beside its size: ordinary ones, and such as float32 may
 * not tell from none.
 */
const ORDINARY = [0.1, 0.03, 1e-2, 1e-3] as const;
const TINY = [1e-4, 1e-5, 1e-6, 1e-7] as const;
/** Tiny distances are tried in every so many cases. */
const EVERY = 4;
/**
 * The network's float32 outputs may be off by this much, and so may what they say of a property this near.
 */
const FLOAT32 = 1e-5;
/** Distances at which a search is expected to end in time. */
const WIDE = 0.03;
/** Calls of programs for each search: the tiny distances may take for ever. */
const callsFor = (gap: number): number => (gap < 1e-3 ? 20 : 100);

interface Count {
  decided: number;
  all: number;
}
const share = ({ decided, all }: Count): string => `${decided} of ${all}`;

/**
 * Holds the answer about a property that is `gap` out of reach, and the one about it within reach by as much,
 * against that.
 */
function expectTruth(
  gap: number,
  answers: { away: Decision; within: Decision },
  of: PropertyCase,
): { away: boolean; within: boolean } {
  const [away, within] = [[safe(of, gap)], [unsafe(of, gap)]] as [Polytope[], Polytope[]];
  if (answers.away.verdict === 'found') {
    // Only rounding of the network itself may show an input that the real-number function has not.
    expect(gap).toBeLessThan(FLOAT32 * 10);
    expectTrue(answers.away.counterexample as NonNullable<Decision['counterexample']>, away);
  }
  return { away: answers.away.verdict === 'proved', within: expectNoProof(answers.within, within) };
}

describe('branch and bound contradicts the exact minimum nowhere', () => {
  it.each(families.map((family) => ({ ...family, name: family.net.name })))(
    '$name',
    async ({ net, epsilon, count, name }) => {
      const counts = new Map(
        [...ORDINARY, ...TINY].map((gap) => [
          gap as number,
          { away: { decided: 0, all: 0 }, within: { decided: 0, all: 0 } },
        ]),
      );
      for (const rows of [1, 2])
        for (const [k, of] of (
          await propertyCases(net, 1000 * rows, count / 2, { rows, mixed: true, epsilon })
        ).entries())
          for (const gap of k % EVERY === 0 ? [...ORDINARY, ...TINY] : ORDINARY) {
            const engine = engineOf(net, of.parameters);
            const answers = {
              away: await decide(engine, [safe(of, gap)], callsFor(gap)),
              within: await decide(engine, [unsafe(of, gap)], callsFor(gap)),
            };
            const decided = expectTruth(gap, answers, of);
            const total = counts.get(gap) as NonNullable<ReturnType<typeof counts.get>>;
            for (const side of ['away', 'within'] as const) {
              total[side].all++;
              if (decided[side]) total[side].decided++;
            }
          }
      console.info(
        `${name}: ${[...counts].map(([gap, { away, within }]) => `±${gap}: ${share(away)} proved, ${share(within)} refuted`).join('; ')}`,
      );
      const wide = [...counts]
        .filter(([gap]) => gap >= WIDE)
        .flatMap(([, { away, within }]) => [away, within]);
      const [decided, all] = [
        wide.reduce((sum, count) => sum + count.decided, 0),
        wide.reduce((sum, count) => sum + count.all, 0),
      ];
      expect(decided / all).toBeGreaterThan(0.9);
    },
  );
});

describe('verify as a whole', () => {
  it('contradicts the exact minimum nowhere, and decides nearly all', async () => {
    const verdicts = { unsat: 0, sat: 0, timeout: 0, unknown: 0 };
    const open: string[] = [];
    for (const { net, epsilon } of families)
      for (const of of await propertyCases(net, 5, 1, { rows: 1, epsilon })) {
        const answerTo = (...polytopes: Polytope[]) =>
          verify({
            network: net,
            parameters: of.parameters,
            property: { inputs: of.polytope.box.lower.length, outputs: net.classes, polytopes },
            pool,
            timeoutSeconds: 10,
          });
        const away = await answerTo(safe(of, 0.05), safe(of, 0.5));
        const both = [safe(of, 0.05), unsafe(of, 0.03)];
        const within = await answerTo(...both);
        expect(away.verdict).not.toBe('sat');
        expect(within.verdict).not.toBe('unsat');
        if (within.counterexample) expectTrue(within.counterexample, both);
        for (const { verdict, seconds, subproblems, lowerBound } of [away, within]) {
          verdicts[verdict]++;
          if (verdict === 'timeout' || verdict === 'unknown')
            open.push(
              `${net.name} after ${seconds.toFixed(1)} s and ${subproblems} parts, bound ${lowerBound}`,
            );
        }
      }
    console.info(`verify: ${JSON.stringify(verdicts)}; open: ${open.join('; ') || 'none'}`);
    expect(verdicts.unknown + verdicts.timeout).toBeLessThan(0.3 * (verdicts.unsat + verdicts.sat));
  });
});
