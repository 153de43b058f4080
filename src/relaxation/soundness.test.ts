import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import { boundProblem, randomBox, runStages } from '../testing/bound-programs.js';
import { randomLabels } from '../testing/numbers.js';
import {
  convolutionalNetworks,
  denseNetworks,
  importedNetworks,
  randomParameters,
  residualNetworks,
} from '../testing/random-networks.js';
import { sampleActivations } from '../testing/sampled-activations.js';
import { withoutNormalization } from './front.js';
import { interval, intervalBounds } from './interval.js';
import { crown, crownBounds } from './linear/crown.js';
import { crownIbp } from './linear/crown-ibp.js';
import type { BoundProblem } from './relaxation.js';

const BATCH = 2;
const SAMPLES = 500;
const STEPS = 4;
const relaxations = [interval, crownIbp, crown];

/** What each relaxation claims: margins, and bounds of nodes by number. */
async function claims(problem: BoundProblem, feeds: Parameters<typeof runStages>[1][number]) {
  const { network: net, parameters, box } = problem;
  const front = withoutNormalization(problem);
  const shift = net.nodes.length - front.network.nodes.length;
  const { before } = crownBounds(front);
  const intervals = intervalBounds(net, parameters, box).map((bounds, node) => ({
    by: 'ibp',
    node,
    ...bounds,
  }));
  const refined = front.network.nodes.flatMap(({ layer, inputs }, relu) =>
    layer.kind === 'relu' ? [{ by: 'crown', node: (inputs[0] as number) + shift, ...before(relu) }] : [],
  );
  const nodes = [...intervals, ...refined];
  const outputs = Object.fromEntries([
    ...nodes.flatMap(({ lower, upper }, i) => [
      [`lower ${i}`, lower],
      [`upper ${i}`, upper],
    ]),
    ...relaxations.map((relaxation) => [relaxation.name, relaxation.bound(problem).margins]),
    ['ibp without elision', interval.bound({ ...problem, elision: false }).margins],
  ]);
  const [result] = await runStages([...crown.bound(problem).stages, { kind: 'whole', outputs }], [feeds]);
  const made = result?.outputs as Record<string, Float64Array>;
  return {
    margins: Object.fromEntries(
      [...relaxations.map(({ name }) => name), 'ibp without elision'].map((name) => [
        name,
        made[name] as Float64Array,
      ]),
    ),
    nodes: nodes.map(({ by, node }, i) => ({
      by,
      node,
      lower: made[`lower ${i}`] as Float64Array,
      upper: made[`upper ${i}`] as Float64Array,
    })),
  };
}

/**
 * Greatest amount by which a lower bound exceeds a value, beside the size of both; at most 0 for a sound
 * bound and exact arithmetic.
 */
const excess = (lower: Float64Array, values: Float64Array): number =>
  lower.reduce(
    (worst, bound, i) => Math.max(worst, (bound - (values[i] as number)) / Math.max(1, Math.abs(bound))),
    Number.NEGATIVE_INFINITY,
  );

const negated = (values: Float64Array): Float64Array => values.map((v) => -v);

describe('for every point of the box', () => {
  const kinds: [string, fc.Arbitrary<Network>][] = [
    ['dense', denseNetworks],
    ['convolutional', convolutionalNetworks()],
    ['residual', residualNetworks],
    ['imported', importedNetworks],
  ];
  it.each(kinds)(
    'margins and activations of %s networks lie within the bounds of ibp, crown-ibp and crown',
    async (_, networks) => {
      let points = 0;
      await fc.assert(
        fc.asyncProperty(networks, fc.nat(), fc.constantFrom(0.01, 0.1, 0.5), async (net, seed, epsilon) => {
          const feeds = {
            ...randomParameters(net, seed),
            ...randomBox(seed, featuresOf(net.input), BATCH, epsilon),
            labels: randomLabels(`labels ${seed}`, BATCH, net.classes),
          };
          const [claimed, met] = [
            await claims(boundProblem(net, BATCH), feeds),
            await sampleActivations(net, feeds, SAMPLES, STEPS, seed),
          ];
          for (const [name, lower] of Object.entries(claimed.margins))
            expect(excess(lower, met.margins.least), `margins of ${name}`).toBeLessThan(1e-9);
          for (const { by, node, lower, upper } of claimed.nodes) {
            const range = met.nodes[node];
            if (range === undefined) continue; // the input itself
            expect(excess(lower, range.least), `lower bounds of ${by} at node ${node}`).toBeLessThan(1e-9);
            expect(
              excess(negated(upper), negated(range.greatest)),
              `upper bounds of ${by} at node ${node}`,
            ).toBeLessThan(1e-9);
          }
          // Merging the last layer with the specification can only tighten intervals.
          expect(
            excess(
              claimed.margins['ibp without elision'] as Float64Array,
              claimed.margins.ibp as Float64Array,
            ),
          ).toBeLessThan(1e-12);
          points += BATCH * SAMPLES * (STEPS + 1);
        }),
        { numRuns: 15 },
      );
      expect(points).toBeGreaterThan(10_000);
    },
  );
});
