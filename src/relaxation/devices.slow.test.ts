import fc from 'fast-check';
import { describe, it } from 'vitest';
import { anyNetworks } from '../testing/bound-cases.js';
import { deviceForTests, expectAgreement } from '../testing/devices.js';
import { marginPlan, singleFeeds } from '../testing/relaxation-plans.js';
import { smallNetwork } from '../testing/robust-objectives.js';
import { type RelaxationName, relaxations } from './index.js';

const present = await deviceForTests();
const device = present as NonNullable<typeof present>;

describe.skipIf(present === undefined)(`bounds on ${present}`, () => {
  const networks = [smallNetwork, ...fc.sample(anyNetworks, { seed: 5, numRuns: 3 })];
  it.each(Object.keys(relaxations) as RelaxationName[])(
    '%s: margins and gradients as on the CPU, on random networks',
    async (name) => {
      for (const [seed, network] of networks.entries())
        await expectAgreement(device, marginPlan(name, network), singleFeeds(network, seed, 0.1));
    },
  );
});
