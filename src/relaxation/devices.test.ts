import { describe, it } from 'vitest';
import { deviceForTests, expectAgreement } from '../testing/devices.js';
import { marginPlan, singleFeeds } from '../testing/relaxation-plans.js';
import { smallNetwork } from '../testing/robust-objectives.js';

const device = await deviceForTests();

// The others, other networks and training methods: devices.slow.test.ts.
describe.skipIf(device === undefined)(`bounds on ${device}`, () => {
  it.each(['ibp', 'crown'] as const)(
    '%s: margins within 1e-4 and gradients within 1e-3 of the CPU, no operator left to it',
    async (name) => {
      await expectAgreement(
        device as NonNullable<typeof device>,
        marginPlan(name, smallNetwork),
        singleFeeds(smallNetwork, 7, 0.1),
      );
    },
    300_000,
  );
});
