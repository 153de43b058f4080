import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { add, type FloatType, input, reshape, sum } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import { intervalBounds } from '../relaxation/interval.js';
import type { Bounds } from '../relaxation/relaxation.js';
import { hasRowKernel, useInstructionSet } from '../runtime/kernels/row-kernel.js';
import { withIntervalKernel } from '../runtime/plan/stages/interval-kernel.js';
import { boundProblem, randomBox, runStages } from '../testing/bound-programs.js';
import { INSTRUCTION_SETS, useFastestSet } from '../testing/instruction-sets.js';
import { distance } from '../testing/operator-check.js';
import {
  convolutionalNetworks,
  denseNetworks,
  importedNetworks,
  randomParameters,
  residualNetworks,
} from '../testing/random-networks.js';
import { warmupRegularizer } from './warmup-regularizer.js';

/** The regulariser of some images, and a loss of it and of the logits' intervals: every parameter has a part. */
function stageOf(net: Network, batch: number, dtype: FloatType) {
  const { parameters, box } = boundProblem(net, batch, dtype);
  const present = input('present', [1, batch], dtype);
  const regularizer = warmupRegularizer(net, parameters, box, present);
  const { lower } = intervalBounds(net, parameters, box).at(-1) as Bounds;
  const loss = add(regularizer, reshape(sum(lower, [0, 1]), []));
  return { kind: 'whole', outputs: { regularizer, loss } } as const;
}

/** The regulariser, the loss, and the gradients of the loss in all that is fed; the last image is padding. */
async function found(net: Network, seed: number, batch: number, dtype: FloatType) {
  const feeds = {
    ...randomParameters(net, seed),
    ...randomBox(seed, featuresOf(net.input), batch, 0.2),
    present: Float64Array.from({ length: batch }, (_, i) => (batch > 1 && i === batch - 1 ? 0 : 1)),
  };
  const [result] = await runStages(
    [stageOf(net, batch, dtype)],
    [
      dtype === 'float64'
        ? feeds
        : Object.fromEntries(Object.entries(feeds).map(([name, x]) => [name, Float32Array.from(x)])),
    ],
    Object.keys(feeds).filter((name) => name !== 'present'),
  );
  const values = Object.values(result?.outputs ?? {});
  return [...values, ...(result?.gradients ?? [])].map((array) => Float64Array.from(array));
}

describe.skipIf(!hasRowKernel())('the warm-up regulariser in the interval kernel', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    useFastestSet();
  });
  const furthest = (a: readonly Float64Array[], b: readonly Float64Array[]): number =>
    Math.max(...a.map((array, i) => distance(array, b[i] as Float64Array)));
  const networks = fc.oneof(convolutionalNetworks(), denseNetworks, residualNetworks, importedNetworks);

  it.each(INSTRUCTION_SETS)(
    'has the value and the gradients of the programs in float64, with %s',
    async (set) => {
      if (useInstructionSet(set) !== set) return; // not this processor's
      await fc.assert(
        fc.asyncProperty(
          networks,
          fc.integer({ min: 1, max: 1000 }),
          fc.constantFrom(1, 3, 17),
          async (net, seed, batch) => {
            useInstructionSet(set);
            const native = await found(net, seed, batch, 'float64');
            vi.stubEnv('TAUTNET_ROWS', 'ort');
            const programs = await found(net, seed, batch, 'float64');
            vi.unstubAllEnvs();
            expect(furthest(native, programs)).toBeLessThan(1e-12);
          },
        ),
        { numRuns: 10 },
      );
    },
  );

  it('has the value in float32 to its rounding', async () => {
    await fc.assert(
      fc.asyncProperty(networks, fc.integer({ min: 1, max: 1000 }), async (net, seed) => {
        const [single] = await found(net, seed, 5, 'float32');
        const [double] = await found(net, seed, 5, 'float64');
        expect(distance(single as Float64Array, double as Float64Array)).toBeLessThan(1e-3);
      }),
      { numRuns: 10 },
    );
  });

  it('leaves programs nothing of the layers’ size', () => {
    const net = fc.sample(convolutionalNetworks({ min: 2, max: 3 }), { numRuns: 1, seed: 3 })[0] as Network;
    const { regularizer } = stageOf(net, 3, 'float64').outputs;
    const [stage] = withIntervalKernel([{ kind: 'whole', outputs: { regularizer } }], () => true);
    if (stage?.kind !== 'interval-kernel') throw new Error('expected the kernel to do its intervals');
    const seen = stage.levels.flatMap(({ runs }) => runs.flatMap((run) => run.seen));
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.filter((name) => !name.includes('moments'))).toEqual([]);
  });
});
