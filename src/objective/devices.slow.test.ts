import { describe, expect, it } from 'vitest';
import { parameterInputs } from '../network/network.js';
import { flatten, parameterLayout, views } from '../network/parameters.js';
import { relaxations } from '../relaxation/index.js';
import { interval } from '../relaxation/interval.js';
import { createExecutor } from '../runtime/execution/executor.js';
import type { Plan } from '../runtime/plan/plan.js';
import { deviceForTests, expectAgreement } from '../testing/devices.js';
import { IMAGES, robustFeeds, smallNetwork } from '../testing/robust-objectives.js';
import { adam } from '../training/rules/adam.js';
import { ccIbp } from './cc-ibp.js';
import { expIbp } from './exp-ibp.js';
import { mtlIbp } from './mtl-ibp.js';
import { createObjective, type ObjectiveOptions } from './objective.js';
import { pgdTraining } from './pgd-training.js';
import type { RobustLoss } from './robust-loss.js';
import { sabr } from './sabr.js';
import { staps } from './staps.js';
import { taps } from './taps.js';

const present = await deviceForTests();
const device = present as NonNullable<typeof present>;

const methods: Readonly<Record<string, RobustLoss | undefined>> = {
  natural: undefined,
  pgd: pgdTraining(),
  sabr: sabr({ lambda: 0.4 }),
  taps: taps({ block: 1 }),
  staps: staps({ block: 1, lambda: 0.4 }),
  'mtl-ibp': mtlIbp({ alpha: 0.5 }),
  'cc-ibp': ccIbp({ alpha: 0.5 }),
  'exp-ibp': expIbp({ alpha: 0.5 }),
};

const single = (feeds: ReturnType<typeof robustFeeds>): Record<string, Float32Array | Int32Array> =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, x]) => [name, x instanceof Float64Array ? Float32Array.from(x) : x]),
  );
const objectiveOf = (options: Partial<ObjectiveOptions>) =>
  createObjective({ network: smallNetwork, microBatch: IMAGES, ...options });

/** Parameters after forty steps on three images under interval bounds. */
async function trainedParameters(): Promise<Record<string, Float32Array>> {
  const layout = parameterLayout(smallNetwork);
  const { gradient } = objectiveOf({ relaxation: interval });
  const feeds = single(robustFeeds(undefined, 3, { kappa: 0.5 }));
  const rule = adam();
  let theta = flatten(
    Object.fromEntries(
      Object.keys(parameterInputs(smallNetwork)).map((name) => [name, feeds[name] as Float32Array]),
    ),
    layout,
  );
  let state = rule.init(theta.length);
  const executor = createExecutor();
  const losses: number[] = [];
  for (let step = 0; step < 40; step++) {
    const { outputs, gradients } = await executor.run(gradient as Plan, {
      ...feeds,
      ...views(theta, layout),
    });
    losses.push(outputs.loss?.[0] as number);
    const g = Float32Array.from(gradients.flatMap((part) => [...part]));
    ({ state, theta } = rule.update(state, theta, g, 0.02));
  }
  await executor.close();
  expect(losses.at(-1)).toBeLessThan(0.5 * (losses[0] as number));
  return views(theta.slice(), layout);
}

describe.skipIf(present === undefined)(`training steps on ${present}`, () => {
  it.each(Object.keys(methods))(
    '%s: loss and gradient as on the CPU, no operator left to it',
    async (name) => {
      const robust = methods[name];
      const { gradient } = objectiveOf({ robust, l1: 1e-3, warmupRegularizer: true });
      await expectAgreement(
        device,
        gradient as Plan,
        single(robustFeeds(robust, 1, { kappa: 0.6, regularization: 0.3 })),
      );
    },
  );

  it.each(['ibp', 'crown-ibp', 'crown', 'alpha-crown'] as const)(
    '%s: loss and gradient as on the CPU for a trained network',
    async (name) => {
      const trained = await trainedParameters();
      const { gradient } = objectiveOf({ relaxation: relaxations[name] });
      await expectAgreement(device, gradient as Plan, {
        ...single(robustFeeds(undefined, 4, { kappa: 0.6, epsilon: 0.05 })),
        ...trained,
      });
    },
  );
});
