import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { constant, evaluate } from '../graph/index.js';
import { reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain } from '../network/network.js';
import { interval } from '../relaxation/interval.js';
import { crown } from '../relaxation/linear/crown.js';
import { crownIbp } from '../relaxation/linear/crown-ibp.js';
import { mixture } from '../relaxation/mixture.js';
import type { Bounds } from '../relaxation/relaxation.js';
import type { PlanResult } from '../runtime/execution/executor.js';
import { distance } from '../testing/operator-check.js';
import { IMAGES, robustFeeds, runRobust, slopes } from '../testing/robust-objectives.js';
import { ccIbp } from './cc-ibp.js';
import { certified } from './certified.js';
import { expIbp } from './exp-ibp.js';
import { mtlIbp } from './mtl-ibp.js';
import { pgdTraining } from './pgd-training.js';
import { boxPropagation } from './relu-shrinking.js';
import type { RobustLoss, RobustProblem } from './robust-loss.js';
import { sabr, smallBox } from './sabr.js';
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
    ['sabr with shrunk ReLUs', sabr({ lambda: 0.4, shrinking: 0.8 })],
    ['a mixture of ibp and crown', certified(mixture(interval, crown))],
    ['sabr with a mixture', sabr({ lambda: 0.4, relaxation: mixture(interval, crownIbp) })],
    ['taps, product of means', taps({ block: 1, product: 'batch', ...exact })],
    ['staps with shrunk ReLUs', staps({ block: 1, lambda: 0.5, shrinking: 0.8, ...exact })],
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

describe('the attack of a training method', () => {
  const atStart = (seed: number) => lossOf(pgdTraining({ steps: 1, stepSize: 1e-12 }), seed);

  it('keeps its best point: steps that overshoot end nowhere below the start', async () => {
    let overshot = 0;
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const [wild, calm] = [
        await lossOf(pgdTraining({ steps: 1, stepSize: 1e6 }), seed),
        await atStart(seed),
      ];
      expect(wild).toBeGreaterThan(calm - 1e-9);
      if (wild < calm + 1e-9) overshot++;
    }
    expect(overshot).toBeLessThan(6);
  });

  it('is not weaker for further restarts, and stronger for some', async () => {
    let stronger = 0;
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const feeds = (restarts: number) => robustFeeds(pgdTraining({ restarts }), seed);
      const three = feeds(3);
      const pixels = (three.start as Float64Array).length / 3 / IMAGES;
      // The first start of each image is that of the attack with one restart.
      const first = (three.start as Float64Array).filter((_, i) => i % (3 * pixels) < pixels);
      const at = async (restarts: number, start: Float64Array) => {
        const method = pgdTraining({ restarts, steps: 2 });
        const [result] = await runRobust(method, [{ ...feeds(restarts), start }], true);
        return result?.outputs.loss?.[0] as number;
      };
      const [one, all] = [await at(1, first), await at(3, three.start as Float64Array)];
      expect(all).toBeGreaterThan(one - 1e-12);
      if (all > one + 1e-6) stronger++;
    }
    expect(stronger).toBeGreaterThan(0);
  });

  it('searches a ball of its own radius', async () => {
    for (const seed of [1, 2, 3])
      expect(await lossOf(pgdTraining({ radius: 2 }), seed)).toBeGreaterThan(
        await lossOf(pgdTraining({ radius: 0.5 }), seed),
      );
  });
});

describe('the small box of SABR', () => {
  const evaluateBox = (pixels: readonly number[], found: readonly number[], lambda: number) => {
    const column = (values: readonly number[]) => constant(values, [values.length, 1], 'float64');
    const problem = { x: column(pixels), epsilon: constant(0.1, [], 'float64'), clip: true };
    const { lower, upper } = smallBox(problem as RobustProblem, column(found), lambda);
    return evaluate([lower, upper], {}).map((ends) => [...(ends as Float64Array)]) as [number[], number[]];
  };
  const near = (got: readonly number[], expected: readonly number[]) =>
    got.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i] as number, 12);
    });

  it('is 2λε wide on a black image, wherever the attack went: moved into the ball, not cut', () => {
    const [lower, upper] = evaluateBox([0, 0, 0, 1], [0, 0.05, 0.1, 1], 0.4);
    near(lower, [0, 0.01, 0.02, 0.92]);
    near(upper, [0.08, 0.09, 0.1, 1]);
  });

  it('lies in the ball of ε, and is the ball where that is no wider', () => {
    const [lower, upper] = evaluateBox([0.5, 0.5, 0], [0.6, 0.4, 0.1], 0.4);
    near(lower, [0.52, 0.4, 0.02]);
    near(upper, [0.6, 0.48, 0.1]);
    const [low, high] = evaluateBox([0, 0.5], [0.1, 0.55], 0.8);
    near(low, [0, 0.44]);
    near(high, [0.1, 0.6]);
  });
});

/** The IBP loss of each image by itself. */
async function ibpLosses(seed: number): Promise<number[]> {
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
}

describe('TAPS', () => {
  const squared = (losses: readonly number[]) =>
    losses.reduce((sum, loss, i) => sum + ([0.5, 0.3, 0.2][i] as number) * loss ** 2, 0);

  it('is L_TAPS · L_IBP, and at most L_IBP²; behind the last ReLU the attack is exact and both are the same', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const largest = squared(await ibpLosses(seed));
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

describe('the product of TAPS', () => {
  const weights = [0.5, 0.3, 0.2];
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value, i) => sum + (weights[i] as number) * value, 0);

  it('of means over the batch is L̄_TAPS · L̄_IBP, by name; behind the last ReLU L̄_IBP²', async () => {
    for (const seed of [1, 2, 3]) {
      const each = await ibpLosses(seed);
      const whole = mean(each) ** 2;
      expect(await lossOf(taps({ block: 0, product: 'batch' }), seed)).toBeCloseTo(whole, 8);
      const perImage = mean(each.map((loss) => loss ** 2));
      expect(await lossOf(taps({ block: 0, product: 'images' }), seed)).toBeCloseTo(perImage, 8);
      expect(perImage).toBeGreaterThan(whole);
    }
  });
});

describe('ReLU shrinking', () => {
  /** One hidden neuron: y = (relu(x₁ − x₂), −relu(x₁ − x₂)), box [−1, 2] − [0, 1]. */
  const layers = [linearLayer([2, 1, 1], 1), reluLayer([1, 1, 1]), linearLayer([1, 1, 1], 2)];
  const network = chain('one', [2, 1, 1], layers);
  const column = (values: readonly number[]) => constant(values, [values.length, 1], 'float64');
  const parameters = {
    '0.weight': constant([1, -1], [1, 2], 'float64'),
    '0.bias': constant([0], [1], 'float64'),
    '2.weight': constant([1, -1], [2, 1], 'float64'),
    '2.bias': constant([0, 0], [2], 'float64'),
  };
  const ends = (factor: number, low: number, high: number) => {
    const box = { lower: column([low, 0]), upper: column([high, 1]) };
    const { lower, upper } = boxPropagation(factor).values(network, parameters, box)[1] as Bounds;
    return evaluate([lower, upper], {}).map((end) => (end as Float64Array)[0]);
  };

  it('keeps a part of the upper end of an unstable neuron, and all of others', () => {
    expect(ends(0.8, -1, 2)).toEqual([0, 1.6]);
    expect(ends(1, -1, 2)).toEqual([0, 2]);
    expect(ends(0.8, 3, 4)).toEqual([2, 4]);
    expect(ends(0.8, -4, -3)).toEqual([0, 0]);
  });

  it('is SABR with λ_r = 1, and makes its loss smaller below', async () => {
    await equal(sabr({ lambda: 0.4, shrinking: 1 }), sabr({ lambda: 0.4 }), 2);
    for (const seed of [1, 2, 3])
      expect(await lossOf(sabr({ lambda: 0.4, shrinking: 0.5 }), seed)).toBeLessThan(
        await lossOf(sabr({ lambda: 0.4 }), seed),
      );
  });
});

describe('a mixture of relaxations', () => {
  const at = async (beta: number, seed: number) => {
    const method = certified(mixture(interval, crown));
    const [result] = await runRobust(method, [robustFeeds(method, seed, { beta })], true);
    return result?.outputs.loss?.[0] as number;
  };

  it('is the loose bound at β = 0, the tight one at β = 1, and at most their mean between', async () => {
    for (const seed of [1, 2, 3]) {
      const [loose, tight] = [await lossOf(certified(interval), seed), await lossOf(certified(crown), seed)];
      expect(await at(0, seed)).toBeCloseTo(loose, 9);
      expect(await at(1, seed)).toBeCloseTo(tight, 9);
      // Cross-entropy is convex in margins.
      for (const beta of [0.2, 0.5, 0.9])
        expect(await at(beta, seed)).toBeLessThan((1 - beta) * loose + beta * tight + 1e-9);
    }
  });

  it('refuses a relaxation with itself', () => {
    expect(() => mixture(crown, crown)).toThrow(
      'mixture: expected two different relaxations, got crown twice',
    );
  });
});

describe('training methods that cannot be', () => {
  it.each<[() => unknown, string]>([
    [() => sabr({ lambda: 0 }), 'sabr: expected lambda in (0, 1], got 0'],
    [() => staps({ block: 1, lambda: 2 }), 'staps: expected lambda in (0, 1], got 2'],
    [() => sabr({ lambda: 0.4, shrinking: 0 }), 'relu shrinking: expected a factor in (0, 1], got 0'],
    [
      () => sabr({ lambda: 0.4, shrinking: 0.8, relaxation: crown }),
      'sabr: expected relaxation ibp with relu shrinking, got crown',
    ],
    [() => mtlIbp({ alpha: -1 }), 'mtl-ibp: expected alpha in [0, 1], got -1'],
    [
      () => robustFeeds(pgdTraining({ restarts: 0 }), 1),
      'attack: expected restarts to be an integer ≥ 1, got 0',
    ],
    [
      () => robustFeeds(pgdTraining({ radius: 0 }), 1),
      'attack: expected a radius above 0, in units of ε, got 0',
    ],
    [() => robustFeeds(pgdTraining({ steps: 0 }), 1), 'attack: expected steps to be an integer ≥ 1, got 0'],
    [
      () => robustFeeds(taps({ block: 3 }), 1),
      'blocks: expected a classifier with fewer than the 3 ReLU layers of small, got 3',
    ],
  ])('say what they expected', (make, message) => {
    expect(make).toThrow(message);
  });
});
