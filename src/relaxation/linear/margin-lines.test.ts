import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type FloatType, input, inputName, mul, reshape, sub, sum, type Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network, NetworkNode } from '../../network/network.js';
import { hasRowKernel, useInstructionSet } from '../../runtime/kernels/row-kernel.js';
import type { RunLines } from '../../runtime/plan/layer-runs.js';
import type { Stage } from '../../runtime/plan/plan.js';
import { boundProblem, randomBox, runStages } from '../../testing/bound-programs.js';
import { INSTRUCTION_SETS, useFastestSet } from '../../testing/instruction-sets.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { distance } from '../../testing/operator-check.js';
import { convolutionalNetworks, denseNetworks, randomParameters } from '../../testing/random-networks.js';
import { withoutNormalization } from '../front.js';
import { type Relaxation, specificationMargins } from '../relaxation.js';
import { hybridZonotope } from '../zonotope/hybrid-zonotope.js';
import { zonotope } from '../zonotope/zonotope.js';
import { alphaCrownWith } from './alpha-crown.js';
import { backSubstituteBy, concretize, throughLines } from './back-substitution.js';
import { inMarginKernel, marginRun } from './margin-run.js';
import { deepPoly, nestedCrownIbp } from './nested.js';

interface Case {
  readonly net: Network;
  readonly seed: number;
  readonly batch: number;
  readonly dtype: FloatType;
}
type Arrays = Record<string, Float64Array | Float32Array | Int32Array>;

/** Batches that fill no vector, one, and one and a part of the next, of either float type. */
const batches = fc.constantFrom(1, 2, 3, 8, 16, 21);
const networks = fc.oneof(convolutionalNetworks({ min: 1, max: 3 }), denseNetworks);

function feedsOf({ net, seed, batch, dtype }: Case, others: Arrays = {}): Arrays {
  const drawn = randomBox(seed, featuresOf(net.input), batch, 0.3);
  const classes = uniformNumbers(`labels ${seed}`, batch);
  const feeds: Arrays = {
    ...randomParameters(net, seed),
    lower: drawn.lower.map((v) => v - 1e-3),
    upper: drawn.upper.map((v) => v + 1e-3),
    labels: Int32Array.from(classes, (u) => Math.floor(u * net.classes)),
    ...others,
  };
  if (dtype === 'float32')
    for (const [name, data] of Object.entries(feeds))
      if (name !== 'labels') feeds[name] = Float32Array.from(data);
  return feeds;
}

/** Margins, the sum of their squares and its gradients, by the kernel or by programs. */
async function valuesOf(
  stages: readonly Stage[],
  found: Tensor,
  feeds: Arrays,
  wrt: string[],
  inKernel: boolean,
) {
  const loss = reshape(sum(sum(mul(found, found), [0]), [1]), []);
  vi.stubEnv('TAUTNET_ROWS', inKernel ? '' : 'ort');
  const [result] = await runStages(
    [...stages, { kind: 'whole', outputs: { margins: found, loss } }],
    [feeds],
    wrt,
  );
  return [result?.outputs.margins, result?.outputs.loss, ...(result?.gradients ?? [])] as Float64Array[];
}

/** Any lines: arrays of their own for rows, or shared, some without intercepts, some taking a part off. */
function drawnLines({ net, seed, batch, dtype }: Case, count: number) {
  const arrays: Arrays = {};
  const draw = (name: string, features: number, perRow: boolean): Tensor => {
    const shape = perRow ? [features, count, batch] : [features, batch];
    const size = shape.reduce((a, b) => a * b);
    arrays[name] = uniformNumbers(`${name} ${seed}`, size).map((u) => (u < 0.3 ? 0 : u));
    return input(name, shape, dtype);
  };
  const coin = (what: string) => (uniformNumbers(`${what} ${seed}`, 1)[0] as number) < 0.5;
  const lines = new Map(
    net.nodes.flatMap(({ layer }, k): [number, RunLines][] => {
      if (layer.kind !== 'relu') return [];
      const part = (name: string) => draw(`${name}:${k}`, featuresOf(layer.output), coin(`${name} of ${k}`));
      return [
        [
          k,
          {
            alpha: part('alpha'),
            lambda: part('lambda'),
            mu: part('mu'),
            ...(coin(`${k}`) && { shift: part('shift') }),
          },
        ],
      ];
    }),
  );
  return { arrays, lines };
}

async function byDrawnLines(one: Case, inKernel: boolean) {
  const { net, batch, dtype } = one;
  const problem = withoutNormalization(boundProblem(net, batch, dtype));
  const { network, parameters, box, specification } = problem;
  const rows = specificationMargins(specification, network.classes, dtype);
  const count = rows.shape[1] as number;
  const { arrays, lines } = drawnLines({ ...one, net: network }, count);
  const bound = backSubstituteBy(network, parameters, network.nodes.length - 1, rows, (node, a) => {
    const { alpha, lambda, mu, shift } = lines.get(node) as Required<RunLines>;
    const features = featuresOf((network.nodes[node] as NetworkNode).layer.output);
    const wide = (t: Tensor) => (t.shape.length === 3 ? t : reshape(t, [features, 1, batch]));
    const slopes = { lower: wide(alpha), upper: wide(lambda), intercept: wide(mu) };
    const passed = throughLines(slopes, a, count, batch);
    if (shift === undefined) return passed;
    const cube = reshape(passed.coefficients, [features, count, batch]);
    return { ...passed, coefficients: reshape(sub(cube, wide(shift)), passed.coefficients.shape) };
  });
  const through = (node: number) => lines.get(node) as RunLines;
  const found = inMarginKernel(concretize(bound, box), problem, rows, through);
  const wrt = ['lower', 'upper', ...Object.values(parameters).map(inputName), ...Object.keys(arrays)];
  return {
    isKnown: marginRun(problem, rows, through) !== undefined && lines.size > 0,
    values: await valuesOf([], found, feedsOf(one, arrays), wrt, inKernel),
  };
}

async function byRelaxation(relaxation: Relaxation, one: Case, inKernel: boolean) {
  const problem = boundProblem(one.net, one.batch, one.dtype);
  const { stages, margins } = relaxation.bound(problem);
  const wrt = Object.values(problem.parameters).map(inputName);
  return valuesOf(stages, margins, feedsOf(one), wrt, inKernel);
}

afterEach(() => {
  vi.unstubAllEnvs();
  useFastestSet();
});

describe.skipIf(!hasRowKernel())('the margin kernel with lines that are arrays', () => {
  it.each(INSTRUCTION_SETS)(
    'gives the margins of programs, and the gradients in layers, box and lines, in float64 with %s',
    async (set) => {
      if (useInstructionSet(set) !== set) return; // not this processor's
      let compared = 0;
      await fc.assert(
        fc.asyncProperty(networks, fc.nat(), batches, async (net, seed, batch) => {
          const one = { net, seed, batch, dtype: 'float64' } as const;
          const programs = await byDrawnLines(one, false);
          const kernel = await byDrawnLines(one, true);
          compared += Number(kernel.isKnown);
          for (const [i, value] of kernel.values.entries())
            expect(distance(value, programs.values[i] as Float64Array)).toBeLessThan(1e-12);
        }),
        { numRuns: 10 },
      );
      expect(compared).toBeGreaterThan(0);
    },
  );

  it('gives them in float32 to its rounding, and the same bits each time', async () => {
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), batches, async (net, seed, batch) => {
        const double = await byDrawnLines({ net, seed, batch, dtype: 'float64' }, true);
        const single = await byDrawnLines({ net, seed, batch, dtype: 'float32' }, true);
        const again = await byDrawnLines({ net, seed, batch, dtype: 'float32' }, true);
        expect(again.values).toEqual(single.values);
        const [margins] = single.values as [Float64Array];
        expect(distance(Float64Array.from(margins), double.values[0] as Float64Array)).toBeLessThan(1e-3);
      }),
      { numRuns: 6 },
    );
  });

  const relaxations = [zonotope, hybridZonotope, nestedCrownIbp, deepPoly];
  it.each(relaxations.map((relaxation) => [relaxation.name, relaxation] as const))(
    'gives the margins and gradients of %s in float64 as programs do',
    async (_, relaxation) => {
      await fc.assert(
        fc.asyncProperty(networks, fc.nat(), batches, async (net, seed, batch) => {
          const one = { net, seed, batch, dtype: 'float64' } as const;
          const programs = await byRelaxation(relaxation, one, false);
          const kernel = await byRelaxation(relaxation, one, true);
          for (const [i, value] of kernel.entries())
            expect(distance(value, programs[i] as Float64Array)).toBeLessThan(1e-12);
        }),
        { numRuns: 6 },
      );
    },
  );

  it.each(INSTRUCTION_SETS)('finds the α of programs in float64, with %s', async (set) => {
    if (useInstructionSet(set) !== set) return; // not this processor's
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(), batches, async (net, seed, batch) => {
        const one = { net, seed, batch, dtype: 'float64' } as const;
        const programs = await byRelaxation(alphaCrownWith({ iterations: 6 }), one, false);
        const kernel = await byRelaxation(alphaCrownWith({ iterations: 6 }), one, true);
        for (const [i, value] of kernel.entries())
          expect(distance(value, programs[i] as Float64Array)).toBeLessThan(1e-9);
      }),
      { numRuns: 6 },
    );
  });
});
