import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../../runtime/pool/pool.js';
import {
  type CertifiedSet,
  certifiedSet,
  doubleLogits,
  exactMargin,
  imageOf,
  marginsOf,
} from '../../testing/certified-sets.js';
import { poolHolding } from '../../testing/devices.js';
import { certify } from './cascade.js';
import type { CertificationOptions, CertificationProgress, VerdictStore } from './options.js';
import type { CertificationReport, Verdict } from './verdict.js';

const COUNT = 30;
/** One step of attack leaves branch and bound enough to refute. */
const weak = { steps: 1, restarts: 1 };

let pool: Pool;
beforeAll(() => {
  pool = createPool(2);
});
afterAll(() => pool.close());

const decide = (
  set: CertifiedSet,
  epsilon: number,
  options: Partial<CertificationOptions> = {},
): Promise<CertificationReport> =>
  certify({ ...set, epsilon, attack: weak, pool, complete: { secondsPerImage: 20 }, ...options });
describe('certification with branch and bound', () => {
  test('decides every image as the exact relaxation does, and each counterexample lies in the ball and is misclassified', async () => {
    const found = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.constantFrom(0.03, 0.06), async (seed, epsilon) => {
        const set = await certifiedSet(seed, COUNT);
        const { verdicts, certified, adversarial } = await decide(set, epsilon);
        expect(verdicts.map(({ image }) => image)).toEqual(Array.from({ length: COUNT }, (_, i) => i));
        const last = verdicts.filter(({ stage }) => stage === 'branch-and-bound' || stage === null);
        for (const verdict of last) {
          found.add(`${verdict.stage} ${verdict.verdict}`);
          const least = await exactMargin(set, verdict.image, epsilon);
          if (verdict.verdict === 'certified') expect(least).toBeGreaterThan(0);
          else if (verdict.verdict === 'falsified') expect(least).toBeLessThanOrEqual(1e-5);
          // Only where rounding could tip the scale.
          else expect(Math.abs(least)).toBeLessThan(1e-3);
          if (verdict.verdict !== 'falsified') continue;
          const original = imageOf(set, verdict.image);
          for (const [k, v] of verdict.counterexample.entries()) {
            expect(Math.abs(v - (original[k] as number))).toBeLessThanOrEqual(epsilon);
            expect(v >= 0 && v <= 1).toBe(true);
          }
          const [margin] = marginsOf(
            await doubleLogits(set.network, set.parameters, verdict.counterexample),
            [verdict.label],
          );
          expect(margin).toBeLessThanOrEqual(1e-5);
        }
        if (verdicts.every(({ verdict }) => verdict !== 'undecided')) expect(certified).toBe(adversarial);
      }),
      { numRuns: 3, seed: 1 },
    );
    for (const kind of ['certified', 'falsified']) expect(found).toContain(`branch-and-bound ${kind}`);
  });

  test('changes no verdict that is there without it, and gives no image two', async () => {
    const set = await certifiedSet(5, COUNT);
    const before = await decide(set, 0.03, { complete: undefined });
    const after = await decide(set, 0.03);
    expect(before.stages['branch-and-bound']).toBeUndefined();
    const open = before.verdicts.filter(({ verdict }) => verdict === 'undecided').map(({ image }) => image);
    expect(open.length).toBeGreaterThan(1);
    for (const { image } of after.verdicts)
      if (!open.includes(image)) expect(after.verdicts[image]).toEqual(before.verdicts[image]);
    const { images, certified, falsified } = after.stages['branch-and-bound'] as {
      images: number;
      certified: number;
      falsified: number;
    };
    expect(images).toBe(open.length);
    expect(after.certified).toBeCloseTo(before.certified + certified / COUNT, 12);
    expect(after.adversarial).toBeCloseTo(before.adversarial - falsified / COUNT, 12);
  });

  test('what a store knows is not searched again, and what it does not know is told to it at once', async () => {
    const set = await certifiedSet(5, COUNT);
    const remembered = new Map<number, Verdict>();
    const store: VerdictStore = {
      known: remembered,
      append: (verdict) => remembered.set(verdict.image, verdict),
    };
    const controller = new AbortController();
    const reason = new Error('enough');
    const stopAfterTwo: VerdictStore = {
      known: remembered,
      append(verdict) {
        store.append(verdict);
        if (remembered.size === 2) controller.abort(reason);
      },
    };
    await expect(
      decide(set, 0.03, { signal: controller.signal, complete: { store: stopAfterTwo } }),
    ).rejects.toBe(reason);
    expect(remembered.size).toBe(2);
    const [first, second] = [...remembered.keys()];
    const appended: number[] = [];
    const watched: VerdictStore = { known: new Map(remembered), append: ({ image }) => appended.push(image) };
    const states: CertificationProgress[] = [];
    const whole = await decide(set, 0.03, {
      complete: { store: watched },
      progress: (state) => states.push(state),
    });
    for (const image of [first, second] as number[])
      expect(whole.verdicts[image]).toBe(remembered.get(image));
    const searched = states.filter(({ stage }) => stage === 'branch-and-bound');
    expect(new Set(searched.flatMap(({ search }) => search?.current?.image ?? []))).toEqual(
      new Set(appended),
    );
    expect(appended).not.toContain(first);
    expect(appended.length).toBe((whole.stages['branch-and-bound']?.images as number) - 2);
    // Bounds on the robust accuracy only close in.
    searched.slice(1).forEach((state, i) => {
      expect(state.certified).toBeGreaterThanOrEqual(searched[i]?.certified as number);
      expect(state.falsified).toBeGreaterThanOrEqual(searched[i]?.falsified as number);
    });
  });

  test('an image that takes too long is undecided, with a bound that is not positive', async () => {
    const set = await certifiedSet(5, COUNT);
    const { verdicts, stages } = await decide(set, 0.03, { complete: { secondsPerImage: 1e-6 } });
    expect(stages['branch-and-bound']?.images).toBeGreaterThan(0);
    const undecided = verdicts.filter(({ verdict }) => verdict === 'undecided');
    expect(undecided.length).toBeGreaterThan(0);
    for (const { margin } of undecided) expect(margin).toBeLessThanOrEqual(1e-4);
  });

  test.each([
    [{ secondsPerImage: 0 }, 'expected seconds per image to be above 0, got 0'],
    [{ memoryBytes: Number.NaN }, 'expected bytes of memory to be above 0, got NaN'],
  ])('refuses limits that make no sense: %j', async (complete, message) => {
    await expect(decide(await certifiedSet(5, 2), 0.03, { complete })).rejects.toThrow(message);
  });
});

describe('branch and bound on a device whose memory does not hold as many subproblems as were planned', () => {
  test('takes half as many, from then on, and decides the same; one line says so where they are too many', async () => {
    const set = await certifiedSet(3, COUNT);
    // Of subproblems each has a threshold.
    const holding = (most: number) =>
      poolHolding(pool, most, ({ feeds }) => (feeds.threshold as Float32Array | undefined)?.length ?? 0);
    const on = (device: Pool) => decide(set, 0.06, { pool: device });
    const { limited: roomy, asked } = holding(Number.POSITIVE_INFINITY);
    const expected = await on(roomy);
    const reached = expected.verdicts.filter(({ stage }) => stage === 'branch-and-bound').length;
    expect(reached).toBeGreaterThan(1);
    const longest = Math.max(...asked);
    const { limited: tight, asked: tried } = holding(longest - 1);
    const made = await on(tight);
    expect(made.verdicts.map(({ verdict }) => verdict)).toEqual(
      expected.verdicts.map(({ verdict }) => verdict),
    );
    expect(tried.filter((size) => size >= longest)).toHaveLength(1);
    await expect(on(holding(Math.floor(longest / 2) - 1).limited)).rejects.toThrow(
      /^webgpu: the memory of the device does not suffice for \d+ subproblems at once, nor for \d+/,
    );
  });
});
