import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { input, type Shape, sizeOf } from '../graph/index.js';
import { batchNormLayer, withoutBias } from '../network/layers/batch-norm.js';
import { convolutionLayer } from '../network/layers/convolution.js';
import { type Extents, featuresOf, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain, type Network, parameterInputs } from '../network/network.js';
import { alphaCrownWith, type RelaxationName, relaxationNamed, relaxations } from '../relaxation/index.js';
import { createExecutor } from '../runtime/execution/executor.js';
import type { Plan } from '../runtime/plan/plan.js';
import { randomLabels, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { randomParameters, residualNetworks } from '../testing/random-networks.js';
import { smallNetwork } from '../testing/robust-objectives.js';
import { ccIbp } from './cc-ibp.js';
import { certified } from './certified.js';
import { expIbp } from './exp-ibp.js';
import { mtlIbp } from './mtl-ibp.js';
import { createObjective, type ObjectiveOptions } from './objective.js';
import { pgdTraining } from './pgd-training.js';
import type { RobustLoss } from './robust-loss.js';
import { sabr } from './sabr.js';
import { staps } from './staps.js';
import { taps } from './taps.js';

const IMAGES = 3;
const MEMBERS = 3;
const executor = createExecutor();
afterAll(() => executor.close());

/** Loss, counts and gradients of a population are those of each of its members alone. */
async function expectMembersAlone(
  net: Network,
  options: Omit<ObjectiveOptions, 'network' | 'microBatch'>,
  seed: number,
): Promise<void> {
  const objective = createObjective({ network: net, microBatch: IMAGES, dtype: 'float64', ...options });
  const shapes = Object.entries(parameterInputs(net)).map(([name, { shape }]): [string, Shape] => [
    name,
    shape,
  ]);
  const members = Array.from({ length: MEMBERS }, (_, m) => randomParameters(net, seed + m));
  const inputs = new Map(shapes.map(([name, shape]) => [name, input(name, [MEMBERS, ...shape], 'float64')]));
  const shared = {
    images: uniformNumbers(`images ${seed}`, IMAGES * featuresOf(net.input)),
    labels: randomLabels(`labels ${seed}`, IMAGES, net.classes),
    weight: Float64Array.of(0.5, 0.3, 0.2),
    epsilon: Float64Array.of(0.1),
    kappa: Float64Array.of(0.8),
    regularization: Float64Array.of(0.5),
    ...Object.fromEntries(
      Object.entries(objective.noise).map(([name, size]) => [
        name,
        uniformNumbers(`${name} ${seed}`, IMAGES * size),
      ]),
    ),
  };
  const all = Object.fromEntries(
    shapes.map(([name]) => [
      name,
      Float64Array.from(members.flatMap((own) => [...(own[name] as Float64Array)])),
    ]),
  );
  const plans = objective.population?.({ members: MEMBERS, inputs });
  const together = await executor.run((plans?.gradient ?? plans?.value)?.() as Plan, { ...shared, ...all });
  for (const [m, own] of members.entries()) {
    const alone = await executor.run(objective.gradient ?? objective.value, { ...shared, ...own });
    for (const [name, values] of Object.entries(alone.outputs))
      expect(
        distance((together.outputs[name] as Float64Array).slice(m, m + 1), values),
        `${name} of member ${m}`,
      ).toBeLessThan(1e-11);
    alone.gradients.forEach((g, k) => {
      const size = sizeOf(shapes[k]?.[1] as Shape);
      expect(
        distance((together.gradients[k] as Float64Array).slice(m * size, (m + 1) * size), g),
        `∂${shapes[k]?.[0]} of member ${m}`,
      ).toBeLessThan(1e-9);
    });
  }
}

const methods: Readonly<Record<string, RobustLoss | undefined>> = {
  natural: undefined,
  pgd: pgdTraining({ steps: 3 }),
  sabr: sabr({ lambda: 0.4 }),
  taps: taps({ block: 1 }),
  staps: staps({ block: 1, lambda: 0.4 }),
  'mtl-ibp': mtlIbp({ alpha: 0.5 }),
  'cc-ibp': ccIbp({ alpha: 0.5 }),
  'exp-ibp': expIbp({ alpha: 0.5 }),
  'crown-ibp with loss fusion': certified(relaxations['crown-ibp'], { fusion: true }),
};

describe('a population has the losses, counts and gradients of its members', () => {
  it.each(Object.keys(methods))('%s', async (name) => {
    await expectMembersAlone(smallNetwork, { robust: methods[name], l1: 1e-3, warmupRegularizer: true }, 5);
  });

  it.each([...(['ibp', 'hbox', 'deepz', 'crown-ibp', 'crown'] satisfies RelaxationName[]), 'ibp+crown-ibp'])(
    '%s',
    async (name) => {
      await expectMembersAlone(smallNetwork, { relaxation: relaxationNamed(name) }, 7);
    },
  );

  it('alpha-crown', () =>
    expectMembersAlone(smallNetwork, { relaxation: alphaCrownWith({ iterations: 3 }) }, 9));

  it('residual networks', async () => {
    await fc.assert(
      fc.asyncProperty(
        residualNetworks,
        fc.nat(1000),
        fc.constantFrom('ibp' as const, 'crown-ibp' as const, 'crown' as const),
        (net, seed, name) => expectMembersAlone(net, { relaxation: relaxations[name] }, seed),
      ),
      { numRuns: 4 },
    );
  });

  it('batch normalisation, whose statistics are each member’s own', async () => {
    const image: Extents = [1, 4, 4];
    const first = withoutBias(convolutionLayer(image, { channels: 3, kernel: [2, 2], stride: [2, 2] }));
    const layers = [
      first,
      batchNormLayer(first.output),
      reluLayer(first.output),
      linearLayer(first.output, 5),
      reluLayer([5, 1, 1]),
      linearLayer([5, 1, 1], 3),
    ];
    for (const name of ['ibp', 'crown'] as const)
      await expectMembersAlone(chain('normalized', image, layers), { relaxation: relaxations[name] }, 11);
  });

  it('has none where a solver outside the graph bounds it', () => {
    expect(
      createObjective({ network: smallNetwork, microBatch: IMAGES, relaxation: relaxations.lp }).population,
    ).toBeUndefined();
  });
});
