import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adam } from './adam.js';
import { clipup } from './clipup.js';
import { clipGlobalNorm, globalNorm } from './gradient-clip.js';
import { sgd } from './sgd.js';
import type { UpdateRule } from './update-rule.js';

const entry = (values: ArrayLike<number>, j: number): number => values[j] as number;
const vector = (size: number) => fc.float32Array({ minLength: size, maxLength: size, noNaN: true, noDefaultInfinity: true, min: -1e3, max: 1e3 });

/** θ after following the gradients one after the other. */
function follow<State>(rule: UpdateRule<State>, start: Float32Array, gradients: readonly Float32Array[], learningRate: number): Float32Array {
  let state = rule.init(start.length);
  let theta = start;
  for (const gradient of gradients) ({ state, theta } = rule.update(state, theta, gradient, learningRate));
  return theta;
}

describe('every update rule', () => {
  const rules = [
    ['Adam', adam()],
    ['SGD', sgd()],
    ['SGD with momentum', sgd({ momentum: 0.9 })],
    ['SGD with Nesterov momentum', sgd({ momentum: 0.9, nesterov: true })],
    ['ClipUp', clipup()],
  ] as [string, UpdateRule][];

  it.each(rules)('%s is pure: same input, same output, nothing given in is changed', (_, rule) => {
    fc.assert(
      fc.property(vector(4), vector(4), vector(4), (theta, g, h) => {
        const copies = [theta.slice(), g.slice(), h.slice()];
        const { state } = rule.update(rule.init(4), theta, g, 0.1);
        const snapshot = structuredClone(state);
        const again = [1, 2].map(() => rule.update(state, theta, h, 0.1));
        expect(again[0]).toEqual(again[1]);
        expect(state).toEqual(snapshot);
        expect([theta, g, h]).toEqual(copies);
      }),
    );
  });

  it.each(rules)('%s finds the minimum of a quadratic', (_, rule) => {
    let state = rule.init(3);
    let theta = Float32Array.of(3, -2, 1);
    for (let step = 0; step < 1500; step++) {
      const gradient = theta.map((t, j) => (j + 1) * t);
      ({ state, theta } = rule.update(state, theta, gradient, 0.05 * 0.995 ** step) as { state: unknown; theta: Float32Array<ArrayBuffer> });
    }
    expect(globalNorm(theta)).toBeLessThan(0.02);
  });

  it.each(rules)('%s refuses a gradient of another size', (_, rule) => {
    expect(() => rule.update(rule.init(3), new Float32Array(3), new Float32Array(2), 0.1)).toThrow(/expected θ and its gradient to have the 3 coordinates/);
  });
});

describe('Adam', () => {
  it('first steps by the learning rate, against the sign of the gradient', () => {
    const theta = follow(adam(), Float32Array.of(1, 1, 1), [Float32Array.of(1e-3, -500, 0)], 0.01);
    expect(theta[0]).toBeCloseTo(0.99, 6);
    expect(theta[1]).toBeCloseTo(1.01, 6);
    expect(theta[2]).toBe(1);
  });

  it('agrees with Algorithm 1 written out in float64', () => {
    fc.assert(
      fc.property(vector(2), fc.array(vector(2), { minLength: 1, maxLength: 20 }), (start, gradients) => {
        const theta = follow(adam({ beta1: 0.8, beta2: 0.95, epsilon: 1e-3 }), start, gradients, 0.01);
        for (const j of [0, 1]) {
          let [m, v, x] = [0, 0, entry(start, j)];
          gradients.forEach((gradient, t) => {
            m = 0.8 * m + 0.2 * entry(gradient, j);
            v = 0.95 * v + 0.05 * entry(gradient, j) ** 2;
            x -= (0.01 * (m / (1 - 0.8 ** (t + 1)))) / (Math.sqrt(v / (1 - 0.95 ** (t + 1))) + 1e-3);
          });
          expect(Math.abs(entry(theta, j) - x)).toBeLessThan(2e-6 * gradients.length * (1 + Math.abs(x)));
        }
      }),
    );
  });

  it('refuses decay rates outside [0, 1)', () => {
    expect(() => adam({ beta1: 1 })).toThrow(/expected beta1 in \[0, 1\)/);
    expect(() => adam({ epsilon: 0 })).toThrow(/expected epsilon above 0/);
  });
});

describe('SGD', () => {
  const gradients = [Float32Array.of(1), Float32Array.of(2)];
  it.each([
    ['without momentum sums gradients', sgd(), 3],
    ['with momentum adds the past: 1 + (0.5·1 + 2)', sgd({ momentum: 0.5 }), 3.5],
    ['with Nesterov momentum looks ahead: (1 + 0.5·1) + (2 + 0.5·2.5)', sgd({ momentum: 0.5, nesterov: true }), 4.75],
  ])('%s', (_, rule, moved) => {
    expect(entry(follow(rule, Float32Array.of(0), gradients, 0.25), 0)).toBe(-0.25 * moved);
  });
});

describe('ClipUp', () => {
  it('never moves farther than its maximal speed, by default twice the learning rate', () => {
    fc.assert(
      fc.property(fc.array(vector(3), { minLength: 1, maxLength: 30 }), fc.constantFrom(undefined, 0.03), (gradients, maxSpeed) => {
        const rule = clipup({ momentum: 0.95, maxSpeed });
        let state = rule.init(3);
        let theta: Float32Array = new Float32Array(3);
        for (const gradient of gradients) {
          const next = rule.update(state, theta, gradient, 0.1);
          expect(globalNorm(next.theta.map((t, j) => t - entry(theta, j)))).toBeLessThan((maxSpeed ?? 0.2) * (1 + 1e-4));
          ({ state, theta } = next);
        }
      }),
    );
  });

  it('reaches that speed along a steady direction, at the momentum’s pace: α, 1.9 α, then 2 α', () => {
    const along = Array.from({ length: 3 }, () => Float32Array.of(3e4, 4e4));
    expect([1, 2, 3].map((n) => globalNorm(follow(clipup(), new Float32Array(2), along.slice(0, n), 0.1)))).toEqual(
      [0.1, 0.29, 0.49].map((distance) => expect.closeTo(distance, 6)),
    );
  });

  it('follows the direction of the gradient only: its scale does not matter', () => {
    const steps = [Float32Array.of(1, 2), Float32Array.of(-3, 0.5)];
    const scaled = steps.map((g) => g.map((x) => x * 1024));
    expect(follow(clipup(), new Float32Array(2), scaled, 0.1)).toEqual(follow(clipup(), new Float32Array(2), steps, 0.1));
  });

  it('stays where it is at a zero gradient', () => {
    expect(follow(clipup(), Float32Array.of(1, 2), [new Float32Array(2)], 0.1)).toEqual(Float32Array.of(1, 2));
  });
});

describe('gradient clipping', () => {
  it('keeps the direction and bounds the norm; short gradients pass untouched', () => {
    fc.assert(
      fc.property(vector(5), fc.double({ min: 0.1, max: 100, noNaN: true }), (gradient, maxNorm) => {
        const clipped = clipGlobalNorm(gradient, maxNorm);
        const norm = globalNorm(gradient);
        if (norm <= maxNorm) expect(clipped).toBe(gradient);
        else {
          expect(globalNorm(clipped)).toBeCloseTo(maxNorm, 4);
          clipped.forEach((c, j) => {
            expect(Math.abs(c - (entry(gradient, j) * maxNorm) / norm)).toBeLessThan(1e-6 * maxNorm);
          });
        }
      }),
    );
    expect(globalNorm(clipGlobalNorm(Float32Array.of(30, 40)))).toBeCloseTo(10, 5);
  });

  it('names the coordinate of an entry that is not finite', () => {
    expect(() => clipGlobalNorm(Float32Array.of(0, Number.NaN))).toThrow(/got NaN at coordinate 1/);
    expect(() => clipGlobalNorm(Float32Array.of(1, 2, -Infinity))).toThrow(/got -Infinity at coordinate 2/);
  });
});
