import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type FloatType, inputName, mul, reshape, sum, type Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type Network, type NetworkNode } from '../../network/network.js';
import { hasRowKernel, useInstructionSet } from '../../runtime/kernels/row-kernel.js';
import { boundProblem, randomBox, runStages } from '../../testing/bound-programs.js';
import { INSTRUCTION_SETS, useFastestSet } from '../../testing/instruction-sets.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { distance } from '../../testing/operator-check.js';
import { convolutionalNetworks, denseNetworks, randomParameters } from '../../testing/random-networks.js';
import { withoutNormalization } from '../front.js';
import { intervalBounds } from '../interval.js';
import { type Bounds, specificationMargins } from '../relaxation.js';
import { reluSlopes } from '../slopes.js';
import { backSubstitute, concretize } from './back-substitution.js';
import { inMarginKernel, marginRun } from './margin-run.js';

interface Case {
  readonly net: Network;
  readonly seed: number;
  readonly batch: number;
  readonly dtype: FloatType;
}

/** CROWN-IBP's margins, their squares' sum as loss, and its gradients in all that they are computed from. */
async function margins({ net, seed, batch, dtype }: Case, inKernel: boolean) {
  const problem = withoutNormalization(boundProblem(net, batch, dtype));
  const { network, parameters, box, specification } = problem;
  const values = intervalBounds(network, parameters, box);
  const before = (node: number) => {
    const from = (network.nodes[node] as NetworkNode).inputs[0] as number;
    return from === INPUT ? box : (values[from] as Bounds);
  };
  // Coefficients that depend on parameters: rows of the logits' own weights, as loss fusion has them.
  const labels = specificationMargins(specification, network.classes, dtype);
  const upper = reshape((values.at(-1) as Bounds).upper, [network.classes, 1, batch]);
  const rows = mul(labels, upper);
  const bound = backSubstitute(network, parameters, network.nodes.length - 1, rows, (node) =>
    reluSlopes(before(node)),
  );
  const found = concretize(bound, box);
  inMarginKernel(found, problem, rows, before);
  const isKnown = marginRun(problem, rows, before) !== undefined;
  const total = (x: Tensor) => reshape(sum(sum(x, [0]), [1]), []);
  const outputs = { margins: found, loss: total(mul(found, found)) };
  const stages = [{ kind: 'whole', outputs } as const];
  const drawn = randomBox(seed, featuresOf(net.input), batch, 0.3);
  const feeds: Record<string, Float64Array | Float32Array | Int32Array> = {
    ...randomParameters(net, seed),
    lower: drawn.lower.map((v) => v - 1e-3),
    upper: drawn.upper.map((v) => v + 1e-3),
  };
  if (dtype === 'float32')
    for (const [name, data] of Object.entries(feeds)) feeds[name] = Float32Array.from(data);
  const classes = uniformNumbers(`labels ${seed}`, batch);
  feeds.labels = Int32Array.from(classes, (u) => Math.floor(u * net.classes));
  const wrt = ['lower', 'upper', ...Object.values(parameters).map(inputName)];
  vi.stubEnv('TAUTNET_ROWS', inKernel ? '' : 'ort');
  const [result] = await runStages(stages, [feeds], wrt);
  return {
    isKnown,
    values: [result?.outputs.margins, result?.outputs.loss, ...(result?.gradients ?? [])] as Float64Array[],
  };
}

afterEach(() => {
  vi.unstubAllEnvs();
  useFastestSet();
});

/** Batches that fill no vector, one, and one and a part of the next, of either float type. */
const batches = fc.constantFrom(1, 2, 3, 8, 16, 21);

describe.skipIf(!hasRowKernel())('the margin kernel', () => {
  const cases = INSTRUCTION_SETS.flatMap((set) =>
    (
      [
        ['convolutions and linear layers', convolutionalNetworks({ min: 1, max: 3 })],
        ['linear layers', denseNetworks],
      ] as const
    ).map(([name, networks]) => [set, name, networks] as const),
  );
  it.each(cases)(
    'gives the margins and gradients of the programs in float64, with %s, for %s',
    async (set, _, networks) => {
      if (useInstructionSet(set) !== set) return; // not this processor's
      let compared = 0;
      await fc.assert(
        fc.asyncProperty(networks, fc.nat(), batches, async (net, seed, batch) => {
          const programs = await margins({ net, seed, batch, dtype: 'float64' }, false);
          const kernel = await margins({ net, seed, batch, dtype: 'float64' }, true);
          compared += Number(kernel.isKnown);
          for (const [i, value] of kernel.values.entries())
            expect(distance(value, programs.values[i] as Float64Array)).toBeLessThan(1e-12);
        }),
        { numRuns: 15 },
      );
      expect(compared).toBeGreaterThan(0);
    },
  );

  it('gives them in float32 to its rounding, and the same bits each time', async () => {
    await fc.assert(
      fc.asyncProperty(
        convolutionalNetworks({ min: 2, max: 3 }),
        fc.nat(),
        batches,
        async (net, seed, batch) => {
          const double = await margins({ net, seed, batch, dtype: 'float64' }, true);
          const single = await margins({ net, seed, batch, dtype: 'float32' }, true);
          const again = await margins({ net, seed, batch, dtype: 'float32' }, true);
          expect(again.values).toEqual(single.values);
          // Margins alone: a derivative may jump where rounding changes the side of a kink.
          expect(
            distance(Float64Array.from(single.values[0] as Float64Array), double.values[0] as Float64Array),
          ).toBeLessThan(1e-3);
        },
      ),
      { numRuns: 6 },
    );
  });
});
