import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { architecture } from '../network/architectures.js';
import type { Network } from '../network/network.js';
import { certified } from '../objective/certified.js';
import { expIbp } from '../objective/exp-ibp.js';
import { createObjective, type ObjectiveOptions } from '../objective/objective.js';
import { pgdTraining } from '../objective/pgd-training.js';
import { sabr } from '../objective/sabr.js';
import { staps } from '../objective/staps.js';
import { relaxations } from '../relaxation/index.js';
import type { Plan } from '../runtime/plan/plan.js';
import { certifiedSet } from '../testing/certified-sets.js';
import { deviceForTests, expectOnDevice, recordingPool } from '../testing/devices.js';
import { importedNetworks, residualNetworks, smoothNetworks } from '../testing/random-networks.js';
import { certify } from './certification/cascade.js';
import type { Polytope } from './property/property.js';
import { verify } from './search/verify.js';

const present = await deviceForTests();
const device = present as NonNullable<typeof present>;

const one = (networks: fc.Arbitrary<Network>): Network =>
  fc.sample(networks, { seed: 11, numRuns: 1 })[0] as Network;
const cnn3 = architecture('cnn3', [1, 8, 8], 4);
const trainings: Readonly<Record<string, Partial<ObjectiveOptions> & { network: Network }>> = {
  'CNN3, natural': { network: cnn3, natural: 'loss' },
  'CNN3, CROWN-IBP with loss fusion': {
    network: cnn3,
    robust: certified(relaxations['crown-ibp'], { fusion: true }),
    l1: 1e-3,
    warmupRegularizer: true,
  },
  'CNN3, CROWN': { network: cnn3, relaxation: relaxations.crown },
  'CNN3 with batch normalisation, DeepZ': {
    network: architecture('cnn3-bn', [1, 8, 8], 4),
    relaxation: relaxations.deepz,
  },
  'CNN3, PGD': { network: cnn3, robust: pgdTraining() },
  'CNN3, SABR': { network: cnn3, robust: sabr({ lambda: 0.4 }) },
  'CNN3, STAPS': { network: cnn3, robust: staps({ block: 1, lambda: 0.4 }) },
  'CNN3, EXP-IBP': { network: cnn3, robust: expIbp({ alpha: 0.5 }) },
  'a residual network, α-CROWN': { network: one(residualNetworks), relaxation: relaxations['alpha-crown'] },
  'a network of smooth activations, CROWN': { network: one(smoothNetworks), relaxation: relaxations.crown },
  'a network of selections and joins, HBox': { network: one(importedNetworks), relaxation: relaxations.hbox },
};

const recorded = recordingPool();
afterAll(() => recorded.pool.close());

describe.skipIf(present === undefined)(`no operator is left to the CPU on ${present}`, () => {
  it.each(Object.keys(trainings))('in a training step: %s', async (name) => {
    const { value, gradient } = createObjective({
      microBatch: 2,
      ...(trainings[name] as { network: Network }),
    });
    await expectOnDevice(device, value);
    await expectOnDevice(device, gradient as Plan);
  });

  it('in a certification and in the search for a property', async () => {
    const { network, parameters, split } = await certifiedSet(3, 4);
    await certify({
      network,
      parameters,
      split,
      epsilon: 0.2,
      pool: recorded.pool,
      attack: { steps: 2, restarts: 1 },
    });
    expect(recorded.plans.size).toBeGreaterThan(3);
    const box = { lower: new Float64Array(25).fill(0.2), upper: new Float64Array(25).fill(0.8) };
    // Upwards from an output difference that an attack reaches: above what it can reach, and not yet excluded
    // by bounds, comes a search.
    const stages = new Set<string>();
    for (let bound = 1; bound < 100 && !stages.has('branch-and-bound'); bound *= 1.3) {
      const polytope: Polytope = { box, unsafe: [{ outputs: Float64Array.of(-1, 1, 0), bound: -bound }] };
      const property = { inputs: 25, outputs: network.classes, polytopes: [polytope] };
      await verify({
        network,
        parameters,
        property,
        pool: recorded.pool,
        timeoutSeconds: 20,
        progress: ({ stage }) => stages.add(stage),
      });
    }
    expect([...stages]).toEqual(expect.arrayContaining(['attack', 'ibp', 'crown', 'branch-and-bound']));
    for (const plan of recorded.plans) await expectOnDevice(device, plan);
  }, 300_000);
});
