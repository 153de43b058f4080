import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate, input, type Tensor } from '../../graph/index.js';
import { adam } from './adam.js';
import { clipup } from './clipup.js';
import { clipGlobalNorm, globalNorm } from './gradient-clip.js';
import { sgd } from './sgd.js';
import type { UpdateGraph, UpdateRule } from './update-rule.js';

const entry = (values: ArrayLike<number>, j: number): number => values[j] as number;
const vector = (size: number) =>
  fc.float32Array({
    minLength: size,
    maxLength: size,
    noNaN: true,
    noDefaultInfinity: true,
    min: -1e3,
    max: 1e3,
  });

/** The same to the last places of a float32, relative to the largest. */
const closeTo = (values: Float32Array): number[] => {
  const size = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return Array.from(
    values,
    (value) => expect.closeTo(value, 6.5 - Math.log10(1 + size)) as unknown as number,
  );
};

/** θ after following the gradients one after the other. */
function follow<State>(
  rule: UpdateRule<State>,
  start: Float32Array,
  gradients: readonly Float32Array[],
  learningRate: number,
): Float32Array {
  let state = rule.init(start.length);
  let theta: Float32Array = start;
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
      ({ state, theta } = rule.update(state, theta, gradient, 0.05 * 0.995 ** step) as {
        state: unknown;
        theta: Float32Array<ArrayBuffer>;
      });
    }
    expect(globalNorm(theta)).toBeLessThan(0.02);
  });

  it.each(rules)('%s takes the same steps as a graph, on which devices take them', (_, rule) => {
    const size = 5;
    const graph = rule.graph as UpdateGraph;
    // Below TINY a gradient counts as none.
    const gradientOf = vector(size).map(
      (values) => values.map((value) => (Math.abs(value) < 1e-20 ? 0 : value)) as Float32Array,
    );
    fc.assert(
      fc.property(
        vector(size),
        fc.array(gradientOf, { minLength: 1, maxLength: 6 }),
        fc.double({ min: 1e-4, max: 1, noNaN: true }),
        (start, gradients, rate) => {
          let state = rule.init(size) as Record<string, number | Float32Array>;
          let theta: Float32Array = start;
          for (const gradient of gradients) {
            const arrays = Object.entries(state).filter(
              (entry): entry is [string, Float32Array] => typeof entry[1] === 'object',
            );
            const numbers = Object.fromEntries(
              Object.entries(state).filter(
                (entry): entry is [string, number] => typeof entry[1] === 'number',
              ),
            );
            const given = graph.numbers(numbers, rate);
            const named = (names: readonly string[], shape: readonly number[]) =>
              Object.fromEntries(names.map((name) => [name, input(name, shape, 'float64')]));
            const arrayNames = arrays.map(([name]) => name);
            const [x, g] = [input('θ', [size], 'float64'), input('gradient', [size], 'float64')];
            const made = graph.step(x, g, named(arrayNames, [size]), named(Object.keys(given.inputs), []));
            const scalars = Object.fromEntries(
              Object.entries(given.inputs).map(([name, value]) => [name, Float64Array.of(value)]),
            );
            const outputs = evaluate([made.theta, ...arrayNames.map((name) => made.arrays[name] as Tensor)], {
              θ: theta,
              gradient,
              ...Object.fromEntries(arrays),
              ...scalars,
            });
            const next = rule.update(state, theta, gradient, rate) as {
              state: typeof state;
              theta: Float32Array;
            };
            // Arithmetic is double in both; what is kept of it is float32.
            expect(Array.from(outputs[0] as Float64Array)).toEqual(closeTo(next.theta));
            arrayNames.forEach((name, i) => {
              expect(Array.from(outputs[i + 1] as Float64Array), name).toEqual(
                closeTo(next.state[name] as Float32Array),
              );
            });
            expect({ ...next.state, ...Object.fromEntries(arrays) }).toEqual({
              ...given.state,
              ...Object.fromEntries(arrays),
            });
            ({ state, theta } = next);
          }
        },
      ),
    );
  });

  it.each(rules)('%s refuses a gradient of another size', (_, rule) => {
    expect(() => rule.update(rule.init(3), new Float32Array(3), new Float32Array(2), 0.1)).toThrow(
      /expected θ and its gradient to have the 3 coordinates/,
    );
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
    [
      'with Nesterov momentum looks ahead: (1 + 0.5·1) + (2 + 0.5·2.5)',
      sgd({ momentum: 0.5, nesterov: true }),
      4.75,
    ],
  ])('%s', (_, rule, moved) => {
    expect(entry(follow(rule, Float32Array.of(0), gradients, 0.25), 0)).toBe(-0.25 * moved);
  });
});

describe('ClipUp', () => {
  it('never moves farther than its maximal speed, by default twice the learning rate', () => {
    fc.assert(
      fc.property(
        fc.array(vector(3), { minLength: 1, maxLength: 30 }),
        fc.constantFrom(undefined, 0.03),
        (gradients, maxSpeed) => {
          const rule = clipup({ momentum: 0.95, maxSpeed });
          let state = rule.init(3);
          let theta: Float32Array = new Float32Array(3);
          for (const gradient of gradients) {
            const next = rule.update(state, theta, gradient, 0.1);
            expect(globalNorm(next.theta.map((t, j) => t - entry(theta, j)))).toBeLessThan(
              (maxSpeed ?? 0.2) * (1 + 1e-4),
            );
            ({ state, theta } = next);
          }
        },
      ),
    );
  });

  it('reaches that speed along a steady direction, at the momentum’s pace: α, 1.9 α, then 2 α', () => {
    const along = Array.from({ length: 3 }, () => Float32Array.of(3e4, 4e4));
    expect(
      [1, 2, 3].map((n) => globalNorm(follow(clipup(), new Float32Array(2), along.slice(0, n), 0.1))),
    ).toEqual([0.1, 0.29, 0.49].map((distance) => expect.closeTo(distance, 6)));
  });

  it('follows the direction of the gradient only: its scale does not matter', () => {
    const steps = [Float32Array.of(1, 2), Float32Array.of(-3, 0.5)];
    const scaled = steps.map((g) => g.map((x) => x * 1024));
    expect(follow(clipup(), new Float32Array(2), scaled, 0.1)).toEqual(
      follow(clipup(), new Float32Array(2), steps, 0.1),
    );
  });

  it('stays where it is at a zero gradient', () => {
    expect(follow(clipup(), Float32Array.of(1, 2), [new Float32Array(2)], 0.1)).toEqual(
      Float32Array.of(1, 2),
    );
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
