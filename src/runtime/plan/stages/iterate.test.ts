import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import {
  add,
  evaluate,
  gemm,
  gradient,
  input,
  type Lifting,
  maximum,
  minimum,
  mul,
  sigmoid,
  sign,
  square,
  sub,
  type Tensor,
  total,
} from '../../../graph/index.js';
import { deviceForTests } from '../../../testing/devices.js';
import { distance, separated, weighted } from '../../../testing/operator-check.js';
import { keepsArrays, type MovedBytes } from '../../device/array.js';
import { createExecutor } from '../../execution/executor.js';
import { createPlan } from '../compile.js';
import type { IterateStage, Stage } from '../plan.js';

const present = await deviceForTests();
const executor = createExecutor();
const moved: MovedBytes = new BigInt64Array(2);
const there = createExecutor({ device: present ?? 'cpu', moved });
afterAll(() => Promise.all([executor.close(), there.close()]));

const float = (name: string, shape: readonly number[]) => input(name, shape, 'float64');
const [rows, width, batch] = [4, 3, 2];
const w = float('w', [rows, width]);
const lossAt = (x: Tensor): Tensor => weighted(square(sigmoid(gemm(w, x))));

/**
 * x ← Π(x + size · sign ∂loss/∂x) onto [−2, 2], and how far all steps went: two arrays that change together.
 */
const x = float('x', [width, batch]);
const far = float('far', []);
const size = float('size', []);
const next = {
  x: minimum(maximum(add(x, mul(sign(gradient(lossAt(x), [x])[0] as Tensor), size)), -2), 2),
  far: add(far, mul(size, size)),
};
const loop = (sizes: readonly number[]): IterateStage => ({
  kind: 'iterate',
  count: sizes.length,
  state: { x: 'start', far: 'zero' },
  next,
  schedule: { size: sizes },
});
const last = { loss: lossAt(x), end: x, gone: far };
const feedsOf = (seed: number) => ({
  w: separated(rows * width, seed),
  start: separated(width * batch, seed + 1),
  zero: Float64Array.of(0),
});

describe('a plan with an iterated stage', () => {
  it('feeds what the graph makes back to it as often as asked, each time with the scalars of that step', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(1e6),
        fc.array(fc.constantFrom(0.01, 0.1, 0.7), { maxLength: 5 }),
        async (seed, sizes) => {
          const feeds = feedsOf(seed);
          const given = structuredClone(feeds);
          const plan = createPlan([loop(sizes), { kind: 'whole', outputs: last }]);
          let [at, distanceGone] = [feeds.start, feeds.zero] as [Float64Array, Float64Array];
          for (const step of sizes)
            [at, distanceGone] = evaluate([next.x, next.far], {
              w: feeds.w,
              x: at,
              far: distanceGone,
              size: [step],
            }) as [Float64Array, Float64Array];
          const { outputs } = await executor.run(plan, feeds);
          expect(distance(outputs.end as Float64Array, at)).toBeLessThan(1e-12);
          expect(outputs.gone?.[0]).toBeCloseTo(distanceGone[0] as number, 12);
          expect(feeds).toEqual(given);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('ends early once all values of the array named by `until` are positive', async () => {
    const steps = { begin: Float64Array.of(-2.5, -0.5) };
    const position = float('position', [2]);
    const walk: IterateStage = {
      kind: 'iterate',
      count: 9,
      state: { position: 'begin' },
      next: { position: add(position, 1) },
      until: 'position',
    };
    const { outputs } = await executor.run(
      createPlan([walk, { kind: 'whole', outputs: { end: add(position, 0) } }]),
      steps,
    );
    expect(outputs.end).toEqual(Float64Array.of(0.5, 2.5));
  });

  it('ends early when the time is over, but runs once', async () => {
    const position = float('position', [1]);
    const walk: IterateStage = {
      kind: 'iterate',
      count: 9,
      state: { position: 'begin' },
      next: { position: add(position, 1) },
      deadline: 'late',
    };
    const plan = createPlan([walk, { kind: 'whole', outputs: { end: add(position, 0) } }]);
    const end = async (late: Record<string, Float64Array>) =>
      (await executor.run(plan, { begin: Float64Array.of(0), ...late })).outputs.end?.[0];
    expect(await end({ late: Float64Array.of(Date.now() - 1000) })).toBe(1);
    expect(await end({ late: Float64Array.of(Date.now() + 1e6) })).toBe(9);
    expect(await end({})).toBe(9);
  });

  it('holds the point it ends at fixed when later stages are differentiated', async () => {
    const stages: Stage[] = [
      { kind: 'whole', outputs: { start: mul(float('begin', [width, batch]), total(square(w))) } },
      loop([0.1, 0.1]),
      { kind: 'whole', outputs: last },
    ];
    const feeds = {
      w: separated(rows * width, 3).map((v) => v / 9),
      begin: separated(width * batch, 4),
      zero: Float64Array.of(0),
    };
    const { outputs, gradients } = await executor.run(createPlan(stages, ['w']), feeds);
    const [expected] = evaluate(gradient(lossAt(x), [w]), { w: feeds.w, x: outputs.end as Float64Array });
    expect(distance(gradients[0] as Float64Array, expected as Float64Array)).toBeLessThan(1e-12);
  });

  it('says what it expected', async () => {
    const whole: Stage = { kind: 'whole', outputs: last };
    expect(() => createPlan([{ ...loop([1]), next: { x: next.x } }, whole])).toThrow(
      'expected the next value of each of x, far, got x',
    );
    expect(() => createPlan([{ ...loop([1]), count: 3 }, whole])).toThrow(
      'expected 3 values of size, one for each repetition, got 1',
    );
    await expect(executor.run(createPlan([loop([1]), whole]), { w: feedsOf(1).w })).rejects.toThrow(
      'nothing provides the array start',
    );
  });
});

describe.skipIf(present === undefined)(`an iterated stage on ${present}`, () => {
  const size = 64;
  const single = (name: string, shape: readonly number[]) => input(name, shape, 'float32');
  const [position, pace, target] = [single('position', [size]), single('pace', [size]), single('target', [])];
  /**
   * Each place walks at its pace until all have passed the target, or as often as asked; paces are of each
   * member.
   */
  const walk = (more: Partial<IterateStage> = {}): Stage[] => [
    {
      kind: 'iterate',
      count: 8,
      state: { position: 'begin', excess: 'begin' },
      next: {
        position: add(position, mul(pace, single('stride', []))),
        excess: sub(add(position, mul(pace, single('stride', []))), target),
      },
      schedule: { stride: [1, 1, 2, 2, 1, 1, 1, 1] },
      ...more,
    },
    { kind: 'whole', outputs: { end: mul(position, 1), left: sub(target, position) } },
  ];
  const members = 3;
  const paces: Lifting = { members, inputs: new Map([['pace', single('paces', [members, size])]]) };
  const feeds = (target: number) => ({
    begin: Float32Array.from(separated(size, 1)),
    pace: Float32Array.from(separated(size, 2), (x) => 0.5 + Math.abs(x)),
    paces: Float32Array.from(separated(members * size, 3), (x) => 0.5 + Math.abs(x)),
    target: Float32Array.of(target),
  });

  it.each([
    ['as often as asked', {}, undefined],
    ['until it has come where it should', { until: 'excess' }, undefined],
    ['until its time is over', { deadline: 'late' }, undefined],
    ['for every member of a population, which begin alike', {}, paces],
    ['for every member until all have come', { until: 'excess' }, paces],
  ])('goes as far as on the CPU: %s', async (_, more, population) => {
    const plan = createPlan(walk(more), [], population);
    for (const given of [feeds(1e6), feeds(2.5)]) {
      const late: Record<string, Float64Array> =
        'deadline' in more ? { late: Float64Array.of(Date.now() - 1) } : {};
      const [expected, made] = [
        await executor.run(plan, { ...given, ...late }),
        await there.run(plan, { ...given, ...late }),
      ];
      for (const [name, values] of Object.entries(expected.outputs))
        expect(distance(made.outputs[name] as Float32Array, values as Float32Array)).toBeLessThan(1e-5);
    }
  });

  it.runIf(keepsArrays(present ?? 'cpu'))(
    'moves its beginning there, once for all members, and nothing back on the way',
    async () => {
      const plan = createPlan(walk(), [], paces);
      const bytes = async () => {
        const before = moved.slice();
        await there.run(plan, feeds(9));
        return {
          up: Number((moved[0] as bigint) - (before[0] as bigint)),
          down: Number((moved[1] as bigint) - (before[1] as bigint)),
        };
      };
      await bytes();
      const [begin, pacesFed, scalars, results] = [
        4 * size,
        8 * 4 * members * size,
        8 * 2 * 4 + 4,
        2 * 4 * members * size,
      ];
      expect(await bytes()).toEqual({ up: begin + pacesFed + scalars, down: results });
    },
  );
});
