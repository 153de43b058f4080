import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import type { FloatType } from '../graph/index.js';
import { convolutionLayer } from '../network/layers/convolution.js';
import { featuresOf, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain, type Network } from '../network/network.js';
import { parameterCount, parameterLayout } from '../network/parameters.js';
import { relaxations } from '../relaxation/index.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { KERNEL_RELAXATIONS } from '../runtime/kernels/loss-chain.js';
import { hasRowKernel, useInstructionSet } from '../runtime/kernels/row-kernel.js';
import type { Plan } from '../runtime/plan/plan.js';
import type { Feeds, Floats } from '../runtime/plan/run.js';
import { INSTRUCTION_SETS, useFastestSet } from '../testing/instruction-sets.js';
import { randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { convolutionalNetworks, denseNetworks, randomParameters } from '../testing/random-networks.js';
import { createObjective, type ObjectiveOptions } from './objective.js';

const executor = createExecutor();
afterAll(() => executor.close());
afterEach(() => {
  vi.unstubAllEnvs();
  useFastestSet();
});

interface Case {
  readonly net: Network;
  readonly seed: number;
  readonly options: Omit<ObjectiveOptions, 'network' | 'microBatch' | 'dtype'>;
  readonly batch: number;
  readonly epsilon: number;
  readonly members: number;
  /** Number of the first of them (default 0). */
  readonly first?: number;
  readonly parts: number;
}

const isKernel = (plan: Plan): boolean => plan.steps.some(({ kind }) => kind === 'loss-kernel');
const as = (dtype: FloatType, values: Float64Array): Floats =>
  dtype === 'float64' ? values : Float32Array.from(values);

/** Micro-batches, the last one of which is not full. */
function feedsOf({ net, seed, batch, epsilon, parts }: Case, dtype: FloatType): Feeds[] {
  const images = batch * parts - (batch > 1 ? 1 : 0);
  return Array.from({ length: parts }, (_, part) => ({
    images: as(dtype, uniformNumbers(`images ${seed} ${part}`, batch * featuresOf(net.input))),
    labels: randomLabels(`labels ${seed} ${part}`, batch, net.classes),
    weight: as(
      dtype,
      Float64Array.from({ length: batch }, (_, i) => (part * batch + i < images ? 1 / images : 0)),
    ),
    epsilon: as(dtype, Float64Array.of(epsilon)),
    kappa: as(dtype, Float64Array.of(0.7)),
    regularization: as(dtype, Float64Array.of(seed % 3 === 0 ? 0 : 0.4)),
  }));
}

/** Every result of every member on every micro-batch: in the kernel, or by programs one after the other. */
async function values(own: Case, dtype: FloatType, way: 'kernel' | 'programs'): Promise<Float64Array> {
  vi.stubEnv('TAUTNET_ROWS', way === 'kernel' ? '' : 'ort');
  const plan = createObjective({ network: own.net, microBatch: own.batch, dtype, ...own.options }).value;
  expect(isKernel(plan)).toBe(way === 'kernel');
  const layout = parameterLayout(own.net);
  const coordinates = parameterCount(layout);
  const points = as(dtype, new Float64Array(own.members * coordinates));
  for (let member = 0; member < own.members; member++)
    for (const [name, array] of Object.entries(
      randomParameters(own.net, own.seed + (own.first ?? 0) + member),
    ))
      points.set(array, member * coordinates + (layout.find((slot) => slot.name === name)?.offset as number));
  return executor.runMembers(plan, { points, coordinates, layout }, feedsOf(own, dtype));
}

const cases = (networks: fc.Arbitrary<Network>): fc.Arbitrary<Case> =>
  fc.record({
    net: networks,
    seed: fc.nat(1e6),
    options: fc.record({
      relaxation: fc.constantFrom(...KERNEL_RELAXATIONS.map((name) => relaxations[name])),
      natural: fc.constantFrom('loss' as const, 'accuracy' as const, 'none' as const),
      clipBox: fc.boolean(),
      l1: fc.constantFrom(0, 1e-3),
      warmupRegularizer: fc.boolean(),
    }),
    batch: fc.constantFrom(1, 3, 8, 19),
    epsilon: fc.constantFrom(0, 0.02, 0.1, 0.4),
    members: fc.constantFrom(1, 3),
    parts: fc.constantFrom(1, 2),
  });

describe.skipIf(!hasRowKernel())('the loss kernel', () => {
  const kinds = [
    ['convolutions and linear layers', convolutionalNetworks({ min: 1, max: 3 })],
    ['linear layers', denseNetworks],
  ] as const;
  it.each(INSTRUCTION_SETS.flatMap((set) => kinds.map(([name, networks]) => [set, name, networks] as const)))(
    'gives the loss, its parts and counts of the programs in float64, with %s, for %s',
    async (set, _, networks) => {
      if (useInstructionSet(set) !== set) return; // not this processor's
      await fc.assert(
        fc.asyncProperty(cases(networks), async (own) => {
          const [kernel, programs] = [
            await values(own, 'float64', 'kernel'),
            await values(own, 'float64', 'programs'),
          ];
          expect(kernel.length).toBe(programs.length);
          for (let i = 0; i < kernel.length; i++)
            expect(distance(kernel.subarray(i, i + 1), programs.subarray(i, i + 1)), `${i}`).toBeLessThan(
              1e-12,
            );
        }),
        { numRuns: 25 },
      );
    },
  );

  it('gives them in float32 to its rounding', async () => {
    await fc.assert(
      fc.asyncProperty(cases(convolutionalNetworks({ min: 1, max: 3 })), async (own) => {
        const [single, double] = [
          await values(own, 'float32', 'kernel'),
          await values(own, 'float64', 'kernel'),
        ];
        for (let i = 0; i < single.length; i++)
          expect(distance(single.subarray(i, i + 1), double.subarray(i, i + 1))).toBeLessThan(1e-3);
      }),
      { numRuns: 10 },
    );
  });

  it('gives each member the bits that it has alone', async () => {
    await fc.assert(
      fc.asyncProperty(cases(convolutionalNetworks({ min: 1, max: 3 })), async (own) => {
        const together = await values({ ...own, members: 3 }, 'float32', 'kernel');
        const alone: number[] = [];
        for (const first of [0, 1, 2])
          alone.push(...(await values({ ...own, members: 1, first }, 'float32', 'kernel')));
        expect([...together]).toEqual(alone);
      }),
      { numRuns: 5 },
    );
  });

  it('leaves to the programs what is no chain of convolutions and linear layers with these relaxations', () => {
    const input = [1, 4, 4] as const;
    const conv = convolutionLayer(input, { channels: 2, kernel: [2, 2] });
    const head = linearLayer(conv.output, 3);
    const net = chain('net', input, [conv, reluLayer(conv.output), head]);
    const value = (network: Network, more: object) =>
      isKernel(createObjective({ network, microBatch: 2, relaxation: relaxations.ibp, ...more }).value);
    expect(value(net, {})).toBe(true);
    expect(value(net, { relaxation: relaxations.deeppoly })).toBe(false);
    expect(value(net, { relaxation: relaxations['crown-ibp'], lossFusion: true })).toBe(false);
    expect(value(chain('twice', input, [conv, linearLayer(conv.output, 3)]), {})).toBe(false);
    expect(
      value(chain('no logits', input, [conv, reluLayer(conv.output), head, reluLayer([3, 1, 1])]), {}),
    ).toBe(false);
    vi.stubEnv('TAUTNET_ROWS', 'ort');
    expect(value(net, {})).toBe(false);
  });
});
