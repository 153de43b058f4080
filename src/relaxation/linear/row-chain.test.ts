import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addAll, type FloatType, inputName, mul, reshape, sum, type Tensor } from '../../graph/index.js';
import { convolutionLayer } from '../../network/layers/convolution.js';
import { featuresOf, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain, type Network } from '../../network/network.js';
import { hasRowKernel, rowsComputedBy, useInstructionSet } from '../../runtime/kernels/row-kernel.js';
import { boundProblem, randomBox, runStages } from '../../testing/bound-programs.js';
import { INSTRUCTION_SETS, useFastestSet } from '../../testing/instruction-sets.js';
import { distance } from '../../testing/operator-check.js';
import { convolutionalNetworks, denseNetworks, randomParameters } from '../../testing/random-networks.js';
import { withoutNormalization } from '../front.js';
import { layerBounds } from './layer-bounds.js';
import { crownRule, deepPolyRule, deepZRule, type RowRule } from './row-rule.js';

const BATCH = 5;

/**
 * The same box, no pixel fixed: with a radius of zero, two bounds of a row may be the same number and have
 * other derivatives.
 */
const widened = ({ lower, upper }: { lower: Float64Array; upper: Float64Array }) => ({
  lower: lower.map((v) => v - 1e-3),
  upper: upper.map((v) => v + 1e-3),
});

/** Three convolutions whose windows are large enough for programs to take them in bands. */
const banded = ((): Network => {
  const input = [2, 7, 6] as const;
  const first = convolutionLayer(input, { channels: 8, kernel: [4, 5], padding: [1, 2, 1, 2] });
  const second = convolutionLayer(first.output, { channels: 6, kernel: [3, 4], padding: [0, 1, 1, 1] });
  const third = convolutionLayer(second.output, { channels: 2, kernel: [4, 3], stride: [2, 2] });
  return chain('banded', input, [
    ...[first, second, third].flatMap((layer) => [layer, reluLayer(layer.output)]),
    linearLayer(third.output, 2),
  ]);
})();

/** The sum of all bounds of ReLUs, weighted so that none cancels, and its gradients. */
async function boundsOf(
  net: Network,
  seed: number,
  epsilon: number,
  all: boolean,
  dtype: FloatType,
  rule: RowRule = crownRule,
) {
  const problem = withoutNormalization(boundProblem(net, BATCH, dtype));
  const { stages, before } = layerBounds(problem, rule, all);
  const relus = problem.network.nodes.flatMap(({ layer }, k) => (layer.kind === 'relu' ? [k] : []));
  const bounds = Object.fromEntries(
    relus.flatMap((k) => (['lower', 'upper'] as const).map((side) => [`${side} ${k}`, before(k)[side]])),
  );
  const total = (x: Tensor, i: number) =>
    sum(reshape(mul(mul(x, x), 1 + 0.1 * i), [(x.shape[0] as number) * BATCH]), [0]);
  const loss = reshape(addAll(Object.values(bounds).map(total)), []);
  const feeds: Record<string, Float64Array | Float32Array> = {
    ...randomParameters(net, seed),
    ...widened(randomBox(seed, featuresOf(net.input), BATCH, epsilon)),
  };
  if (dtype === 'float32')
    for (const [name, values] of Object.entries(feeds)) feeds[name] = Float32Array.from(values);
  const last = relus.at(-1) as number;
  const wrt = [
    'lower',
    'upper',
    ...Object.values(problem.parameters)
      .map(inputName)
      .filter((name) => Number(name.split('.')[0]) < last),
  ];
  const [result] = await runStages(
    [...stages, { kind: 'whole', outputs: { ...bounds, loss } }],
    [feeds],
    wrt,
  );
  return {
    count: Object.keys(bounds).length,
    kernel: stages.some(({ kind }) => kind === 'row-kernel'),
    values: [...Object.values(result?.outputs ?? {}), ...(result?.gradients ?? [])] as Float64Array[],
  };
}

afterEach(() => {
  vi.unstubAllEnvs();
  useFastestSet();
});

describe.skipIf(!hasRowKernel())('the row kernel', () => {
  const cases = INSTRUCTION_SETS.flatMap((set) =>
    (
      [
        ['convolutions and linear layers', convolutionalNetworks({ min: 2, max: 3 }), 10],
        ['linear layers', denseNetworks, 10],
        ['windows in bands', fc.constant(banded), 3],
      ] as const
    ).map(([name, networks, runs]) => [set, name, networks, runs] as const),
  );
  it.each(cases)(
    'gives the bounds and gradients of the programs in float64, with %s, for %s',
    async (set, _, networks, numRuns) => {
      if (useInstructionSet(set) !== set) return; // not this processor's
      let compared = 0;
      await fc.assert(
        fc.asyncProperty(
          networks,
          fc.nat(),
          fc.constantFrom(0.05, 0.3),
          fc.boolean(),
          fc.constantFrom(crownRule, deepPolyRule, deepZRule),
          async (net, seed, epsilon, all, rule) => {
            vi.stubEnv('TAUTNET_ROWS', 'ort');
            const programs = await boundsOf(net, seed, epsilon, all, 'float64', rule);
            vi.stubEnv('TAUTNET_ROWS', '');
            const kernel = await boundsOf(net, seed, epsilon, all, 'float64', rule);
            expect(programs.kernel).toBe(false);
            compared += Number(kernel.kernel);
            for (const [i, value] of kernel.values.entries())
              expect(distance(value, programs.values[i] as Float64Array)).toBeLessThan(1e-12);
          },
        ),
        { numRuns },
      );
      expect(compared).toBeGreaterThan(0);
    },
  );

  it('gives them in float32 to its rounding, and the same bits each time', async () => {
    await fc.assert(
      fc.asyncProperty(convolutionalNetworks({ min: 2, max: 3 }), fc.nat(), async (net, seed) => {
        const double = await boundsOf(net, seed, 0.1, true, 'float64');
        const single = await boundsOf(net, seed, 0.1, true, 'float32');
        const again = await boundsOf(net, seed, 0.1, true, 'float32');
        expect(again.values).toEqual(single.values);
        // Bounds alone: a derivative may jump where rounding changes the side of a kink.
        for (const [i, value] of single.values.slice(0, single.count).entries())
          expect(distance(Float64Array.from(value), double.values[i] as Float64Array)).toBeLessThan(1e-3);
      }),
      { numRuns: 6 },
    );
  });

  it('says which instruction set it uses, and none where ONNX Runtime does its work', () => {
    expect(INSTRUCTION_SETS.map((set) => `native, ${set}`)).toContain(rowsComputedBy());
    vi.stubEnv('TAUTNET_ROWS', 'ort');
    expect(rowsComputedBy()).toBe('ort');
    vi.stubEnv('TAUTNET_ROWS', 'gpu');
    expect(rowsComputedBy).toThrow('TAUTNET_ROWS: expected ort or native, got "gpu"');
  });
});
