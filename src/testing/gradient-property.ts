/** The property of every bound that is trained with: its gradient is what its values show. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { total } from '../graph/index.js';
import type { Network } from '../network/network.js';
import { marginCrossEntropy } from '../objective/losses.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import type { Stage } from '../runtime/plan/plan.js';
import { BATCH, caseFeeds } from './bound-cases.js';
import { boundProblem } from './bound-programs.js';
import { compareDerivatives } from './directional-derivatives.js';
import { randomParameters } from './random-networks.js';

/** Stages whose output `loss` is the summed robust cross-entropy under a relaxation. */
export function robustLossStages(relaxation: Pick<Relaxation, 'bound'>, net: Network): Stage[] {
  const { stages, margins } = relaxation.bound(boundProblem(net, BATCH));
  return [...stages, { kind: 'whole', outputs: { loss: total(marginCrossEntropy(margins)) } }];
}

export interface GradientCases {
  readonly numRuns: number;
  /** Radii of the balls (default: 0.05 and 0.3). */
  readonly epsilons?: fc.Arbitrary<number>;
  /** Directions that slopes are taken along in each case (default 3). */
  readonly directions?: number;
}

/**
 * Expects ∂loss/∂θ of random networks to be the slope of `loss` along random directions wherever that exists,
 * which must be in most of them.
 */
export async function expectGradients(
  networks: fc.Arbitrary<Network>,
  stagesOf: (net: Network) => readonly Stage[],
  { numRuns, epsilons = fc.constantFrom(0.05, 0.3), directions }: GradientCases,
): Promise<void> {
  let [compared, kinks] = [0, 0];
  await fc.assert(
    fc.asyncProperty(networks, fc.nat(), epsilons, async (net, seed, epsilon) => {
      const parameters = randomParameters(net, seed);
      const feeds = caseFeeds(net, seed, epsilon);
      const found = await compareDerivatives(stagesOf(net), parameters, feeds, seed, directions);
      compared += found.compared;
      kinks += found.kinks;
    }),
    { numRuns },
  );
  expect(compared).toBeGreaterThan(2 * kinks);
}
