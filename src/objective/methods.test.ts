import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interval } from '../relaxation/interval.js';
import { crown } from '../relaxation/linear/crown.js';
import { crownIbp } from '../relaxation/linear/crown-ibp.js';
import type { PlanResult } from '../runtime/execution/executor.js';
import { distance } from '../testing/operator-check.js';
import { IMAGES, robustFeeds, runRobust, slopes } from '../testing/robust-objectives.js';
import { ccIbp } from './cc-ibp.js';
import { certified } from './certified.js';
import { expIbp } from './exp-ibp.js';
import { mtlIbp } from './mtl-ibp.js';
import { pgdTraining } from './pgd-training.js';
import type { RobustLoss } from './robust-loss.js';
import { sabr } from './sabr.js';
import { staps } from './staps.js';
import { taps } from './taps.js';

const seeds = fc.nat(1e6);

/** Both have the same loss and gradient, started from the same places. */
async function expectEqual(a: RobustLoss, b: RobustLoss, seed: number, tolerance = 1e-10): Promise<void> {
  const feeds = { ...robustFeeds(a, seed), ...robustFeeds(b, seed) };
  const [[first], [second]] = (await Promise.all([runRobust(a, [feeds]), runRobust(b, [feeds])])) as [
    [PlanResult],
    [PlanResult],
  ];
  expect(Math.abs((first.outputs.loss?.[0] as number) - (second.outputs.loss?.[0] as number))).toBeLessThan(
    tolerance,
  );
  first.gradients.forEach((g, k) => {
    expect(distance(g, second.gradients[k] as Float64Array)).toBeLessThan(tolerance);
  });
}
const equal = (a: RobustLoss, b: RobustLoss, numRuns = 3) =>
  fc.assert(
    fc.asyncProperty(seeds, (seed) => expectEqual(a, b, seed)),
    { numRuns },
  );

const lossOf = async (method: RobustLoss, seed: number): Promise<number> => {
  const [result] = await runRobust(method, [robustFeeds(method, seed)], true);
  return result?.outputs.loss?.[0] as number;
};

describe('the gradient of a training method', () => {
  // With the linear link (c = 1) and weight 1 the gradient of TAPS is the derivative of its value: points
  // keep their place in the box.
  const exact = { weight: 1, link: 1 };
  it.each<[string, RobustLoss]>([
    ['pgd', pgdTraining()],
    ['sabr', sabr({ lambda: 0.4 })],
    ['sabr with crown', sabr({ lambda: 0.4, relaxation: crown })],
    ['mtl-ibp', mtlIbp({ alpha: 0.3 })],
    ['cc-ibp', ccIbp({ alpha: 0.3 })],
    ['exp-ibp', expIbp({ alpha: 0.3 })],
    ['mtl with crown-ibp', mtlIbp({ alpha: 0.3, relaxation: crownIbp })],
    ['taps, multi-estimator', taps({ block: 1, ...exact })],
    ['taps, single-estimator', taps({ block: 2, estimator: 'single', ...exact })],
    ['staps', staps({ block: 2, lambda: 0.5, ...exact })],
  ])('is the central difference at the point that its attack found: %s', async (_, method) => {
    let [compared, kinks] = [0, 0];
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const { slope, difference, bend } = await slopes(method, seed);
        if (bend > 1e-3) kinks++;
        else {
          compared++;
          expect(Math.abs(slope - difference)).toBeLessThan(1e-6 + bend);
        }
      }),
      { numRuns: 3 },
    );
    expect(compared).toBeGreaterThan(kinks);
  });
});

describe('training methods at the ends of their scales', () => {
  it('SABR with λ = 1 is certified training', () => equal(sabr({ lambda: 1 }), certified(interval)));
  it('SABR with λ = 1 and CROWN is certified training with CROWN', () =>
    equal(sabr({ lambda: 1, relaxation: crown }), certified(crown), 2));
  it.each([
    ['MTL-IBP', mtlIbp],
    ['CC-IBP', ccIbp],
    ['Exp-IBP', expIbp],
  ])('%s is adversarial training with α = 0, IBP with α = 1', async (_, make) => {
    await equal(make({ alpha: 0 }), pgdTraining());
    await equal(make({ alpha: 1 }), certified(interval));
  });
  it('STAPS with λ = 1 is TAPS', () => equal(staps({ block: 1, lambda: 1 }), taps({ block: 1 })));
});

describe('the size of robust losses', () => {
  it('adversarial ≤ expressive ≤ certified, and growing with α', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const ends = [await lossOf(pgdTraining(), seed), await lossOf(certified(interval), seed)];
        for (const make of [mtlIbp, ccIbp, expIbp]) {
          const between = [
            await lossOf(make({ alpha: 0.2 }), seed),
            await lossOf(make({ alpha: 0.7 }), seed),
          ];
          const rising = [ends[0], ...between, ends[1]] as number[];
          rising.slice(1).forEach((loss, i) => {
            expect(loss).toBeGreaterThan((rising[i] as number) - 1e-12);
          });
        }
      }),
      { numRuns: 3 },
    );
  });

  it('the attack finds at least as much as a single small step, and SABR stays below the certified loss', async () => {
    let better = 0;
    for (const seed of [1, 2, 3, 4, 5]) {
      const weak = await lossOf(pgdTraining({ steps: 1, stepSize: 1e-6 }), seed);
      const strong = await lossOf(pgdTraining(), seed);
      if (strong > weak + 1e-3) better++;
      expect(await lossOf(sabr({ lambda: 0.3 }), seed)).toBeLessThan(await lossOf(certified(interval), seed));
    }
    expect(better).toBeGreaterThan(3);
  });
});

describe('TAPS', () => {
  const ibpOfEach = async (seed: number): Promise<number[]> => {
    const feeds = robustFeeds(undefined, seed);
    const one = (i: number) => ({
      ...feeds,
      weight: Float64Array.from({ length: IMAGES }, (_, k) => (k === i ? 1 : 0)),
    });
    const results = await runRobust(
      certified(interval),
      Array.from({ length: IMAGES }, (_, i) => one(i)),
      true,
    );
    return results.map(({ outputs }) => outputs.loss?.[0] as number);
  };
  const squared = (losses: readonly number[]) =>
    losses.reduce((sum, loss, i) => sum + ([0.5, 0.3, 0.2][i] as number) * loss ** 2, 0);

  it('is L_TAPS · L_IBP, and at most L_IBP²; behind the last ReLU the attack is exact and both are the same', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const largest = squared(await ibpOfEach(seed));
        expect(Math.abs((await lossOf(taps({ block: 0 }), seed)) - largest)).toBeLessThan(
          1e-9 * (1 + largest),
        );
        for (const block of [1, 2])
          expect(await lossOf(taps({ block }), seed)).toBeLessThan(largest * (1 + 1e-9));
      }),
      { numRuns: 3 },
    );
  });

  it('weighs its gradient, not its value: ∇L = w·L_IBP·∇L_TAPS + L_TAPS·∇L_IBP', async () => {
    const at = async (weight: number) => {
      const method = taps({ block: 1, weight });
      return (await runRobust(method, [robustFeeds(method, 3)]))[0] as PlanResult;
    };
    const [one, two, five] = await Promise.all([at(1), at(2), at(5)]);
    expect(five.outputs.loss).toEqual(one.outputs.loss);
    one.gradients.forEach((g, k) => {
      const taken = g.map((v, i) => v + 4 * ((two.gradients[k]?.[i] as number) - v));
      expect(distance(five.gradients[k] as Float64Array, taken)).toBeLessThan(1e-10);
    });
    expect(distance(two.gradients[0] as Float64Array, one.gradients[0] as Float64Array)).toBeGreaterThan(
      1e-4,
    );
  });
});

describe('training methods that cannot be', () => {
  it.each<[() => unknown, string]>([
    [() => sabr({ lambda: 0 }), 'sabr: expected lambda in (0, 1], got 0'],
    [() => staps({ block: 1, lambda: 2 }), 'staps: expected lambda in (0, 1], got 2'],
    [() => mtlIbp({ alpha: -1 }), 'mtl-ibp: expected alpha in [0, 1], got -1'],
    [() => robustFeeds(pgdTraining({ steps: 0 }), 1), 'attack: expected steps to be an integer ≥ 1, got 0'],
    [
      () => robustFeeds(taps({ block: 3 }), 1),
      'blocks: expected a classifier with fewer than the 3 ReLU layers of small, got 3',
    ],
  ])('say what they expected', (make, message) => {
    expect(make).toThrow(message);
  });
});
