import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { input, reshape } from '../graph/index.js';
import { architecture } from '../network/architectures.js';
import { featuresOf } from '../network/layers/layer.js';
import { logits, type Network, parameterInputs } from '../network/network.js';
import { hasRowKernel, useInstructionSet } from '../runtime/kernels/row-kernel.js';
import { createPlan } from '../runtime/plan/compile.js';
import { type AscentKernelStage, withAscentKernel } from '../runtime/plan/stages/ascent-kernel.js';
import { runPlan } from '../testing/bound-programs.js';
import { INSTRUCTION_SETS, useFastestSet } from '../testing/instruction-sets.js';
import { randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import {
  convolutionalNetworks,
  denseNetworks,
  randomParameters,
  residualNetworks,
} from '../testing/random-networks.js';
import { adversary } from './ascent.js';
import { crossEntropy } from './losses.js';
import type { RobustGraph, RobustProblem } from './robust-loss.js';
import { taps } from './taps.js';

const STEPS = 3;

function problemOf(net: Network, batch: number): RobustProblem {
  const features = featuresOf(net.input);
  return {
    network: net,
    parameters: parameterInputs(net, 'float64'),
    x: input('x', [features, batch], 'float64'),
    labels: input('labels', [batch], 'int32'),
    weight: reshape(input('weight', [batch], 'float64'), [1, batch]),
    epsilon: input('epsilon', [], 'float64'),
    clip: true,
    batch,
    dtype: 'float64',
  };
}

/** The stages of an attack and of the loss at its point. */
function attacked(net: Network, batch: number): Pick<RobustGraph, 'stages' | 'loss' | 'noise'> {
  const problem = problemOf(net, batch);
  const { stages, point, noise } = adversary(problem, { steps: STEPS, restarts: 2 });
  return { stages, noise, loss: crossEntropy(logits(net, problem.parameters, point), problem.labels) };
}

const inKernel = ({ stages }: Pick<RobustGraph, 'stages'>) =>
  stages.map((stage) => (stage.kind === 'iterate' ? withAscentKernel(stage, () => true) : stage));
const ofKernel = (stages: readonly { readonly kind: string }[]) =>
  stages.filter((stage): stage is AscentKernelStage => stage.kind === 'ascent-kernel');

/** The loss of each image, on one way. */
async function losses(
  net: Network,
  seed: number,
  batch: number,
  graph: Pick<RobustGraph, 'stages' | 'loss' | 'noise'>,
): Promise<Float64Array> {
  const plan = createPlan([...inKernel(graph), { kind: 'whole', outputs: { loss: graph.loss } }]);
  const noise = Object.entries(graph.noise).map(
    ([name, size]) => [name, uniformNumbers(`${name} ${seed}`, batch * size)] as const,
  );
  const feeds = {
    ...randomParameters(net, seed),
    x: uniformNumbers(`x ${seed}`, batch * featuresOf(net.input)),
    labels: randomLabels(`labels ${seed}`, batch, net.classes),
    weight: new Float64Array(batch).fill(1 / batch),
    epsilon: Float64Array.of(0.1),
    ...Object.fromEntries(noise),
  };
  const [result] = await runPlan(plan, [feeds]);
  return result?.outputs.loss as Float64Array;
}

describe.skipIf(!hasRowKernel())('an attack whose network is in the interval kernel', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    useFastestSet();
  });
  const networks = fc.oneof(convolutionalNetworks({ min: 1, max: 3 }), denseNetworks);

  it.each(INSTRUCTION_SETS)('ends where the programs end in float64, with %s', async (set) => {
    if (useInstructionSet(set) !== set) return; // not this processor's
    await fc.assert(
      fc.asyncProperty(
        networks,
        fc.integer({ min: 1, max: 1000 }),
        fc.constantFrom(1, 3, 17),
        async (net, seed, batch) => {
          useInstructionSet(set);
          const graph = attacked(net, batch);
          expect(ofKernel(inKernel(graph)).length).toBe(2);
          const native = await losses(net, seed, batch, graph);
          vi.stubEnv('TAUTNET_ROWS', 'ort');
          const programs = await losses(net, seed, batch, graph);
          vi.unstubAllEnvs();
          expect(distance(native, programs)).toBeLessThan(1e-12);
        },
      ),
      { numRuns: 8 },
    );
  });

  it('ends there behind a normalisation, too', async () => {
    const normalization = { mean: [0.3], std: [0.5] };
    const net = architecture('conv 3@3 p1, linear', [1, 4, 4], 3, normalization);
    const graph = attacked(net, 5);
    expect(ofKernel(inKernel(graph)).map(({ prepared }) => Object.keys(prepared).length)).toEqual([1, 1]);
    const native = await losses(net, 4, 5, graph);
    vi.stubEnv('TAUTNET_ROWS', 'ort');
    expect(distance(native, await losses(net, 4, 5, graph))).toBeLessThan(1e-12);
  });

  it('is left to programs where several points of an image are attacked at once', () => {
    const [net] = fc.sample(convolutionalNetworks({ min: 2, max: 2 }), { numRuns: 1, seed: 2 });
    const graph = taps({ block: 1, attack: { steps: STEPS } }).build(problemOf(net as Network, 3));
    expect(ofKernel(inKernel(graph))).toEqual([]);
  });

  it('is left to programs where the network branches', () => {
    const [net] = fc.sample(residualNetworks, { numRuns: 1, seed: 1 });
    expect(ofKernel(inKernel(attacked(net as Network, 2)))).toEqual([]);
  });
});
