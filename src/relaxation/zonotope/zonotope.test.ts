import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FloatType, total } from '../../graph/index.js';
import { INPUT, type Network, type NetworkNode } from '../../network/network.js';
import { marginCrossEntropy } from '../../objective/losses.js';
import { anyNetworks, BATCH, caseFeeds, excess, marginsOf } from '../../testing/bound-cases.js';
import { boundProblem, type Feeds, runStages } from '../../testing/bound-programs.js';
import { expectGradients, robustLossStages } from '../../testing/gradient-property.js';
import { distance } from '../../testing/operator-check.js';
import {
  convolutionalNetworks,
  denseNetworks,
  randomParameters,
  residualNetworks,
  smoothNetworks,
} from '../../testing/random-networks.js';
import { sampleActivations } from '../../testing/sampled-activations.js';
import {
  hybridZonotopeBounds,
  hybridZonotopeByGenerators,
  zonotopeBounds,
  zonotopeByGenerators,
} from '../../testing/zonotopes/by-generators.js';
import { interval, intervalBounds } from '../interval.js';
import { backSubstitute, concretize } from '../linear/back-substitution.js';
import { crownIbp } from '../linear/crown-ibp.js';
import { type BoundProblem, type Bounds, type Relaxation, specificationMargins } from '../relaxation.js';
import { reluSlopes } from '../slopes.js';
import { hybridZonotope } from './hybrid-zonotope.js';
import { zonotope } from './zonotope.js';

const SAMPLES = 300;
const STEPS = 3;

interface NodeBounds {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/** Bounds of every node by each of the named functions, and the margins of relaxations, in one run. */
async function everything(
  net: Network,
  feeds: Feeds,
  by: Record<string, (problem: BoundProblem) => readonly Bounds[]>,
  relaxations: readonly Relaxation[],
) {
  const problem = boundProblem(net, BATCH);
  const bounds = Object.entries(by).map(([name, of]) => [name, of(problem)] as const);
  const outputs = Object.fromEntries([
    ...bounds.flatMap(([name, nodes]) =>
      nodes.flatMap(({ lower, upper }, k) => [
        [`${name} lower ${k}`, lower],
        [`${name} upper ${k}`, upper],
      ]),
    ),
    ...relaxations.flatMap((relaxation) => [
      [`${relaxation.name} margins`, relaxation.bound(problem).margins],
      [
        `${relaxation.name} margins without elision`,
        relaxation.bound({ ...problem, elision: false }).margins,
      ],
    ]),
  ]);
  const stages = relaxations.flatMap((relaxation) => relaxation.bound(problem).stages);
  const [result] = await runStages([...stages, { kind: 'whole', outputs }], [feeds]);
  const made = result?.outputs as Record<string, Float64Array>;
  return {
    nodes: (name: string): NodeBounds[] =>
      net.nodes.map((_, k) => ({
        lower: made[`${name} lower ${k}`] as Float64Array,
        upper: made[`${name} upper ${k}`] as Float64Array,
      })),
    margins: (name: string): Float64Array => made[`${name} margins`] as Float64Array,
    plain: (name: string): Float64Array => made[`${name} margins without elision`] as Float64Array,
  };
}

const negated = (values: Float64Array): Float64Array => values.map((v) => -v);
const zonotopes = [
  [hybridZonotope, hybridZonotopeBounds, hybridZonotopeByGenerators],
  [zonotope, zonotopeBounds, zonotopeByGenerators],
] as const;
const epsilons = fc.constantFrom(0.01, 0.1, 0.5);

describe.each(zonotopes)('bounds of $name', (relaxation, boundsOf, oracle) => {
  it('are those of generators, with their gradient', async () => {
    const lossOf = ({ bound }: Relaxation, net: Network) => {
      const { stages, margins } = bound(boundProblem(net, BATCH));
      const loss = total(marginCrossEntropy(margins));
      return [...stages, { kind: 'whole', outputs: { margins, loss } } as const];
    };
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(anyNetworks, convolutionalNetworks({ min: 2, max: 3 }), smoothNetworks),
        fc.nat(),
        epsilons,
        async (net, seed, epsilon) => {
          const feeds = [caseFeeds(net, seed, epsilon)];
          const wrt = Object.keys(randomParameters(net, seed));
          const [[rows], [generators]] = [
            await runStages(lossOf(relaxation, net), feeds, wrt),
            await runStages(lossOf(oracle, net), feeds, wrt),
          ];
          const of = (result: typeof rows) => [result?.outputs.margins, ...(result?.gradients ?? [])];
          for (const [i, value] of of(rows).entries())
            expect(distance(value as Float64Array, of(generators)[i] as Float64Array)).toBeLessThan(1e-10);
        },
      ),
      { numRuns: 12 },
    );
  });

  it.each([
    ['dense', denseNetworks],
    ['convolutional', convolutionalNetworks()],
    ['residual', residualNetworks],
  ] as const)('contain every sampled activation and margin of %s networks', async (_, networks) => {
    let points = 0;
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), epsilons, async (net, seed, epsilon) => {
        const feeds = caseFeeds(net, seed, epsilon);
        const claimed = await everything(net, feeds, { own: boundsOf }, [relaxation]);
        const met = await sampleActivations(net, feeds, SAMPLES, STEPS, seed);
        expect(excess(claimed.margins(relaxation.name), met.margins.least)).toBeLessThan(1e-9);
        expect(excess(claimed.plain(relaxation.name), claimed.margins(relaxation.name))).toBeLessThan(1e-12);
        claimed.nodes('own').forEach(({ lower, upper }, k) => {
          expect(
            excess(lower, met.nodes[k]?.least as Float64Array),
            `lower bounds of node ${k}`,
          ).toBeLessThan(1e-9);
          expect(
            excess(negated(upper), negated(met.nodes[k]?.greatest as Float64Array)),
            `upper bounds of node ${k}`,
          ).toBeLessThan(1e-9);
        });
        points += BATCH * SAMPLES * (STEPS + 1);
      }),
      { numRuns: 8 },
    );
    expect(points).toBeGreaterThan(5000);
  });

  it('are exact, as those of back-substitution, where no neuron is unstable', async () => {
    let [compared, tighter] = [0, 0];
    await fc.assert(
      fc.asyncProperty(anyNetworks, fc.nat(), async (net, seed) => {
        for (const epsilon of [0.1, 1e-2, 1e-4, 1e-7]) {
          const feeds = caseFeeds(net, seed, epsilon);
          const { nodes } = await everything(
            net,
            feeds,
            { ibp: ({ network: n, parameters, box }) => intervalBounds(n, parameters, box) },
            [],
          );
          const stable = net.nodes.every(({ layer, inputs }) => {
            if (layer.kind !== 'relu' || inputs[0] === INPUT) return true;
            const { lower, upper } = nodes('ibp')[inputs[0] as number] as NodeBounds;
            return lower.every((l, i) => l > 0 || (upper[i] as number) <= 0);
          });
          if (!stable) continue;
          compared++;
          const exact = await marginsOf(crownIbp, net, feeds);
          expect(distance(await marginsOf(relaxation, net, feeds), exact)).toBeLessThan(1e-12);
          if (
            (await marginsOf(interval, net, feeds)).some((margin, i) => margin < (exact[i] as number) - 1e-12)
          )
            tighter++;
          return;
        }
      }),
      { numRuns: 8 },
    );
    expect(compared).toBeGreaterThan(3);
    expect(tighter).toBeGreaterThan(0);
  });

  it('have the gradient that their values show', () =>
    expectGradients(anyNetworks, (net) => robustLossStages(relaxation, net), { numRuns: 8 }));
});

describe('hybrid zonotopes', () => {
  it('are at least as tight as intervals, on every neuron of every layer and on every margin', async () => {
    let tighter = 0;
    await fc.assert(
      fc.asyncProperty(anyNetworks, fc.nat(), epsilons, async (net, seed, epsilon) => {
        const found = await everything(
          net,
          caseFeeds(net, seed, epsilon),
          {
            hbox: hybridZonotopeBounds,
            ibp: ({ network: n, parameters, box }) => intervalBounds(n, parameters, box),
          },
          [hybridZonotope, interval],
        );
        const tight = found.nodes('hbox');
        found.nodes('ibp').forEach(({ lower, upper }, k) => {
          expect(excess(lower, tight[k]?.lower as Float64Array), `lower bounds of node ${k}`).toBeLessThan(
            1e-12,
          );
          expect(
            excess(negated(upper), negated(tight[k]?.upper as Float64Array)),
            `upper bounds of node ${k}`,
          ).toBeLessThan(1e-12);
        });
        expect(excess(found.margins('ibp'), found.margins('hbox'))).toBeLessThan(1e-12);
        expect(excess(found.plain('ibp'), found.plain('hbox'))).toBeLessThan(1e-12);
        if (found.margins('hbox').some((margin, i) => margin > (found.margins('ibp')[i] as number) + 1e-6))
          tighter++;
      }),
      { numRuns: 20 },
    );
    expect(tighter).toBeGreaterThan(3);
  });
});

describe('zonotopes', () => {
  /** Margins by back-substitution of the parallelograms' lower edges: the dual of Wong and Kolter. */
  function dualMargins(problem: BoundProblem) {
    const { network: net, parameters, box, specification } = problem;
    const bounds = zonotopeBounds(problem);
    const slopes = (relu: number) => {
      const from = (net.nodes[relu] as NetworkNode).inputs[0] as number;
      const { upper, intercept } = reluSlopes(from === INPUT ? box : (bounds[from] as Bounds));
      return { lower: upper, upper, intercept };
    };
    const rows = specificationMargins(specification, net.classes, box.lower.dtype as FloatType);
    return concretize(backSubstitute(net, parameters, net.nodes.length - 1, rows, slopes), box);
  }

  it('give the margins of their dual, back-substitution with parallel lines', async () => {
    await fc.assert(
      fc.asyncProperty(anyNetworks, fc.nat(), epsilons, async (net, seed, epsilon) => {
        const problem = boundProblem(net, BATCH);
        const { stages, margins } = zonotope.bound(problem);
        const outputs = { margins, dual: dualMargins(problem) };
        const feeds = caseFeeds(net, seed, epsilon);
        const [result] = await runStages([...stages, { kind: 'whole', outputs }], [feeds]);
        expect(
          distance(result?.outputs.margins as Float64Array, result?.outputs.dual as Float64Array),
        ).toBeLessThan(1e-12);
      }),
      { numRuns: 12 },
    );
  });
});
