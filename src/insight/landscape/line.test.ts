import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { functionObjective } from '../../evaluation/function-objective.js';
import { keyOf } from '../../runtime/random/keys.js';
import { normalCdf } from '../../testing/normal-distribution.js';
import { directionTo, gradientDirection, moved, randomDirection } from './direction.js';
import { scanLine } from './line.js';
import { jumpsOf, roughnessOf, sensitivityOf, tightnessOf } from './measures.js';
import type { Surface } from './surface.js';

const grid = (points: number, span = 1) =>
  Array.from({ length: points }, (_, i) => span * ((2 * i) / (points - 1) - 1));
const jumps = (f: (t: number) => number, t = grid(21)) => jumpsOf(async (x) => f(x), t, t.map(f), t.length);

/** A function of one number as a surface. */
function surfaceOf(f: (x: number) => number): Surface {
  const objective = functionObjective(1, (theta) => f(theta[0] as number));
  return {
    value: async (theta) => f(theta[0] as number),
    pairs: (theta, sigma, keys) => objective.pairs(theta, { keys, sigma }),
  };
}

describe('continuity', () => {
  test('counts the steps of a staircase and finds their size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 8 }),
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        async (steps, size, slope) => {
          // Steps at odd places, which no point of the grid falls on and no interval has two of.
          const at = Array.from({ length: steps }, (_, k) => -0.9371 + k * 0.2137);
          const f = (t: number) => slope * size * t + size * at.filter((place) => t > place).length;
          const found = await jumps(f);
          expect(found.count).toBe(steps);
          expect(found.largest / size).toBeCloseTo(1, 2);
          expect(found.total / (steps * size)).toBeCloseTo(1, 2);
        },
      ),
    );
  });

  test.each([
    ['a line', (t: number) => 3 * t + 1],
    ['a parabola', (t: number) => t * t],
    ['a kink', (t: number) => Math.abs(t - 0.123)],
    ['a wave', (t: number) => Math.sin(5 * t)],
    ['a constant', () => 2],
  ])('has no jump where there is none: %s', async (_, f) => {
    expect(await jumps(f)).toEqual({ searched: 20, count: 0, largest: 0, total: 0 });
  });
});

describe('the measures', () => {
  test('of a straight line: its slope and no roughness', () => {
    const t = grid(11, 0.5);
    const values = t.map((x) => 2 - 7 * x);
    expect(sensitivityOf(t, values)).toBeCloseTo(7, 10);
    expect(roughnessOf(values)).toBeCloseTo(0, 10);
    expect(roughnessOf(t.map(() => 1))).toBe(0);
  });

  test('of a zigzag: the roughest there is', () => {
    expect(roughnessOf(grid(1001).map((_, i) => i % 2))).toBeCloseTo(2, 2);
  });

  test('tightness is the mean distance to the least, 0 for the tightest', () => {
    expect(
      tightnessOf([
        [3, 3],
        [1, 2],
        [2, 1],
      ]),
    ).toEqual([1.5 + 0.5, 0.5, 0.5]);
    expect(
      tightnessOf([
        [5, 6],
        [4, 5],
      ]),
    ).toEqual([1, 0]);
  });
});

describe('a line', () => {
  const scan = (f: (x: number) => number, sigma: number, samples = 400) =>
    scanLine({
      surfaces: { f: surfaceOf(f) },
      theta: Float32Array.of(0),
      direction: Float32Array.of(1),
      span: 1,
      points: 9,
      sigmas: [0, sigma],
      samples,
      key: keyOf(7),
    });

  test.each([
    ['x²', (x: number) => x * x, (x: number, s: number) => x * x + s * s],
    ['a step', (x: number) => (x > 0 ? 1 : 0), (x: number, s: number) => normalCdf(x / s)],
    [
      '|x|',
      Math.abs,
      (x: number, s: number) =>
        x * (2 * normalCdf(x / s) - 1) + s * Math.sqrt(2 / Math.PI) * Math.exp((-x * x) / (2 * s * s)),
    ],
  ])('smoothed is E f(x + σz) within its error band: %s', async (_, f, smoothed) => {
    const { t, curves } = await scan(f, 0.4);
    const [raw, soft] = curves;
    expect(raw?.values.map((v, i) => v - f(Math.fround(t[i] as number)))).toEqual(t.map(() => 0));
    expect(raw?.errors).toEqual([]);
    t.forEach((x, i) => {
      // 1.96 standard errors hold at 19 of 20 points; twice as many at all of these.
      const off = Math.abs((soft?.values[i] as number) - smoothed(x, 0.4));
      expect(off).toBeLessThan(2 * (soft?.errors[i] as number) + 1e-6);
    });
  });

  test('smoothing takes a jump apart: the largest falls with the number of samples', async () => {
    const step = (x: number) => (x > 0.013 ? 1 : 0);
    const { curves } = await scan(step, 0.4);
    expect(curves[0]?.jumps).toMatchObject({ count: 1, largest: 1 });
    expect(curves[1]?.jumps.largest).toBeLessThan(0.02);
  });

  test('the error of a change is smaller than that of a value: both have the same perturbations', async () => {
    const { curves } = await scan((x) => x * x + 100 * Math.sin(x / 100), 0.4);
    const soft = curves[1];
    expect(soft?.changeErrors[4]).toBe(0);
    for (const [i, error] of (soft?.changeErrors ?? []).entries())
      expect(error).toBeLessThan((soft?.errors[i] as number) / 2);
  });

  test('the same key gives the same bits, another key others', async () => {
    const options = { surfaces: { f: surfaceOf(Math.abs) }, theta: Float32Array.of(0) };
    const at = (seed: number) =>
      scanLine({
        ...{ ...options, direction: Float32Array.of(1), span: 1, points: 5 },
        ...{ sigmas: [0.1], samples: 4, key: keyOf(seed) },
      });
    expect(await at(1)).toEqual(await at(1));
    expect((await at(1)).curves[0]?.values).not.toEqual((await at(2)).curves[0]?.values);
  });
});

describe('a direction', () => {
  const layout = [
    { offset: 0, size: 500 },
    { offset: 500, size: 500 },
  ];
  const theta = Float32Array.from({ length: 1000 }, (_, i) => (i < 500 ? 1 : 10) * Math.sin(i));
  const norm = (values: Float32Array) => Math.hypot(...values);

  test('at random is as long as θ in every layer', () => {
    const d = randomDirection(keyOf(3), theta, layout);
    for (const { offset, size } of layout) {
      const part = (of: Float32Array) => norm(of.subarray(offset, offset + size));
      expect(part(d) / part(theta)).toBeCloseTo(1, 4);
    }
  });

  test('along the gradient goes downhill and is as long as θ', () => {
    const d = gradientDirection(
      theta.map((value) => 3 * value),
      theta,
    );
    expect(norm(d) / norm(theta)).toBeCloseTo(1, 4);
    expect(d[1] as number).toBeCloseTo(-(theta[1] as number), 4);
  });

  test('towards other parameters is there at t = 1; another network is refused', () => {
    const target = theta.map((value) => value / 2 + 1);
    const there = moved(theta, [1, directionTo(target, theta)]);
    expect(Math.max(...there.map((value, i) => Math.abs(value - (target[i] as number))))).toBeLessThan(1e-6);
    expect(() => directionTo(target.subarray(1), theta)).toThrow('expected 1000 parameters');
  });
});
