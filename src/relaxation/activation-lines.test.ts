import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { add, evaluate, type FloatType, gradient, input, mul, type Tensor, total } from '../graph/index.js';
import { type ActivationName, activationFunctions, activationNames } from '../network/activations/index.js';
import { expectDerivatives, runProgram, weighted } from '../testing/operator-check.js';
import {
  activationInterval,
  activationLines,
  activationStrip,
  chosenTangents,
  movableLines,
} from './activation-lines.js';
import type { Bounds } from './relaxation.js';

const exact = { sigmoid: (x: number) => 1 / (1 + Math.exp(-x)), tanh: Math.tanh };

/**
 * Ends of intervals of every kind: on one side of 0, across it, degenerate, a millionth wide, and up to ±50
 * and far beyond.
 */
const ends = fc
  .tuple(
    fc.oneof(
      fc.double({ min: -6, max: 6, noNaN: true }),
      fc.double({ min: -50, max: 50, noNaN: true }),
      fc.constantFrom(0, -50, 50, 1e-7, -1e-7, -1e5, 1e5),
    ),
    fc.oneof(
      fc.constantFrom(0, 1e-9, 1e-6, 1e-3, 0.02),
      fc.double({ min: 0, max: 4, noNaN: true }),
      fc.double({ min: 0, max: 100, noNaN: true }),
    ),
  )
  .map(([from, width]) => [from, from + width] as const)
  .map(([l, u]) => (u > l ? [l, u] : [l, l]) as readonly [number, number]);

const boundsOf = (count: number, dtype: FloatType): Bounds => ({
  lower: input('l', [count], dtype),
  upper: input('u', [count], dtype),
});

const sharesOf = (count: number, dtype: FloatType) => ({
  above: input('above', [count], dtype),
  below: input('below', [count], dtype),
});

const linesOf = (name: ActivationName, bounds: Bounds, shares?: ReturnType<typeof sharesOf>) => {
  const { lower, lowerIntercept, upper, intercept } = activationLines(name, bounds, shares);
  const strip = activationStrip(name, bounds);
  const interval = activationInterval(name, bounds);
  return {
    a: lower,
    b: lowerIntercept as Tensor,
    c: upper,
    d: intercept,
    slope: strip.slope,
    centre: strip.centre,
    radius: strip.radius,
    low: interval.lower,
    high: interval.upper,
  };
};

type Values = Record<keyof ReturnType<typeof linesOf>, ArrayLike<number>>;

/**
 * By how much the function leaves the lines, the interval or the strip at any of many points of each
 * interval; at most 0 for sound ones.
 */
function excess(
  made: Values,
  pairs: readonly (readonly [number, number])[],
  f: (x: number) => number,
): { worst: number; where: string } {
  let found = { worst: Number.NEGATIVE_INFINITY, where: '' };
  pairs.forEach(([l, u], i) => {
    const at = (key: keyof Values) => made[key][i] as number;
    for (let k = 0; k <= 60; k++) {
      const x = Math.min(
        u,
        Math.max(
          l,
          k % 2 ? l + ((u - l) * k) / 60 : k < 30 ? l + (u - l) * 2 ** -k : u - (u - l) * 2 ** (k - 62),
        ),
      );
      const y = f(x);
      const outside = {
        a: at('a') * x + at('b') - y,
        c: y - at('c') * x - at('d'),
        low: at('low') - y,
        high: y - at('high'),
      };
      const strip = Math.abs(y - at('slope') * x - at('centre')) - at('radius');
      for (const [what, by] of Object.entries({ ...outside, strip }))
        if (!(by <= found.worst)) found = { worst: by, where: `${what} on [${l}, ${u}] at ${x}` };
    }
  });
  return found;
}

describe.each(activationNames)('lines around %s', (name) => {
  const f = exact[name];
  const COUNT = 400;
  const intervals = fc.noShrink(fc.array(ends, { minLength: COUNT, maxLength: COUNT }));

  it.each(['float64', 'float32'] as const)(
    'hold on thousands of intervals in %s, degenerate and extreme ones too',
    async (dtype) => {
      const round = dtype === 'float32' ? Math.fround : (x: number) => x;
      const outputs = linesOf(name, boundsOf(COUNT, dtype));
      await fc.assert(
        fc.asyncProperty(intervals, async (drawn) => {
          const pairs = drawn.map(([l, u]) => [round(l), round(u)] as const);
          const made = await runProgram(outputs, { l: pairs.map(([l]) => l), u: pairs.map(([, u]) => u) });
          const { worst, where } = excess(made as unknown as Values, pairs, f);
          expect(worst, where).toBeLessThanOrEqual(0);
        }),
        { numRuns: 5 },
      );
    },
  );

  it.each(['float64', 'float32'] as const)(
    'hold in %s whatever tangents are chosen, and are the usual ones at the usual shares',
    async (dtype) => {
      const round = dtype === 'float32' ? Math.fround : (x: number) => x;
      const bounds = boundsOf(COUNT, dtype);
      const outputs = linesOf(name, bounds, sharesOf(COUNT, dtype));
      const share = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }));
      const shares = fc.noShrink(fc.array(fc.tuple(share, share), { minLength: COUNT, maxLength: COUNT }));
      await fc.assert(
        fc.asyncProperty(intervals, shares, async (drawn, chosen) => {
          const pairs = drawn.map(([l, u]) => [round(l), round(u)] as const);
          const feeds = { l: pairs.map(([l]) => l), u: pairs.map(([, u]) => u) };
          const [above, below] = [0, 1].map((k) => chosen.map((both) => round(both[k] as number)));
          const made = await runProgram(outputs, { ...feeds, above: above ?? [], below: below ?? [] });
          const { worst, where } = excess(made as unknown as Values, pairs, f);
          expect(worst, where).toBeLessThanOrEqual(0);
        }),
        { numRuns: 5 },
      );
      const usual = linesOf(name, bounds, chosenTangents(name, bounds));
      const plain = linesOf(name, bounds);
      const feeds = { l: [-3, -1, 0.5, -0.2], u: [2, -0.5, 2, 4] };
      const four = (of: typeof plain) => (['a', 'b', 'c', 'd'] as const).map((key) => of[key]);
      const at = {
        l: [...feeds.l, ...Array(COUNT - 4).fill(0)],
        u: [...feeds.u, ...Array(COUNT - 4).fill(1)],
      };
      const [wanted, found] = [evaluate(four(plain), at), evaluate(four(usual), at)];
      wanted.forEach((values, k) => {
        values.forEach((value, i) => {
          expect(Math.abs(value - (found[k]?.[i] as number))).toBeLessThan(1e-12);
        });
      });
    },
  );

  it('move with the chosen tangent as their derivative says', () => {
    const pairs = [
      [-3, 2],
      [0.5, 2],
      [-2, 0.3],
      [-0.2, 1],
      [-7, 4],
    ];
    const feeds = {
      l: pairs.map(([l]) => l as number),
      u: pairs.map(([, u]) => u as number),
      above: pairs.map((_, i) => 0.2 + 0.13 * i),
      below: pairs.map((_, i) => 0.8 - 0.11 * i),
    };
    const [bounds, shares] = [boundsOf(pairs.length, 'float64'), sharesOf(pairs.length, 'float64')];
    const { a, b, c, d } = linesOf(name, bounds, shares);
    const loss = [a, b, c, d]
      .map((value, k) => mul(weighted(value), 1 + 0.3 * k))
      .reduce((x, y) => add(x, y));
    expectDerivatives(loss, [shares.above, shares.below], feeds, 1e-6);
  });

  it('are those of least area: in the middle of the interval they meet the convex and the concave envelope', () => {
    const { a, b, c, d } = linesOf(name, boundsOf(COUNT, 'float64'));
    const HALF = 20;
    fc.assert(
      fc.property(intervals, (pairs) => {
        const made = evaluate([a, b, c, d], { l: pairs.map(([l]) => l), u: pairs.map(([, u]) => u) });
        let worst = 0;
        pairs.forEach(([l, u], i) => {
          const [slopeBelow, below, slopeAbove, above] = made.map((values) => values[i] as number) as [
            number,
            number,
            number,
            number,
          ];
          const m = (l + u) / 2;
          const step = (u - l) / (2 * HALF);
          let [least, greatest] = [f(m), f(m)];
          for (let p = 1; p <= HALF; p++)
            for (let q = 1; q <= HALF; q++) {
              const chord = (q * f(m - p * step) + p * f(m + q * step)) / (p + q);
              least = Math.min(least, chord);
              greatest = Math.max(greatest, chord);
            }
          const missed = step ** 2; // what chords between samples may miss of an envelope
          worst = Math.max(
            worst,
            least - slopeBelow * m - below - missed,
            slopeAbove * m + above - greatest - missed,
          );
        });
        expect(worst).toBeLessThan(1e-13);
      }),
      { numRuns: 5 },
    );
  });

  it('are continuous where their cases meet', () => {
    // Moving one end by a millionth moves neither line by more than a few of them, wherever the cases change
    // between.
    const count = 4001;
    const outputs = linesOf(name, boundsOf(count, 'float64'));
    const u = Array.from({ length: count }, (_, k) => -1 + k * 1e-3);
    const at = (shift: number) =>
      evaluate([outputs.a, outputs.b, outputs.c, outputs.d], {
        l: u.map(() => -1 - shift),
        u: u.map((v) => v + shift),
      });
    const [still, moved] = [at(0), at(1e-6)];
    still.forEach((values, k) => {
      values.forEach((value, i) => {
        expect(Math.abs(value - (moved[k]?.[i] as number)), `[-1, ${u[i]}]`).toBeLessThan(1e-5);
      });
    });
  });

  it('that move with shares are the lines at those shares, to the bit, and with their derivatives', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(ends, fc.double({ min: 0, max: 1, noNaN: true })), {
          minLength: 40,
          maxLength: 40,
        }),
        fc.constantFrom<FloatType>('float32', 'float64'),
        async (cases, dtype) => {
          const [bounds, shares] = [boundsOf(cases.length, dtype), sharesOf(cases.length, dtype)];
          const fixed = Object.values(activationLines(name, bounds, shares)) as Tensor[];
          const moved = Object.values(movableLines(name, bounds, (_, value) => value)(shares)) as Tensor[];
          const slopes = (lines: readonly Tensor[]) =>
            gradient(
              lines.map((line, k) => mul(weighted(line), 1 + 0.3 * k)).reduce((a, b) => add(a, b)),
              Object.values(shares),
            );
          const named = (all: readonly Tensor[], of: string) =>
            Object.fromEntries(all.map((tensor, i) => [`${of} ${i}`, tensor] as const));
          const made = await runProgram(
            {
              ...named([...fixed, ...slopes(fixed)], 'fixed'),
              ...named([...moved, ...slopes(moved)], 'moved'),
            },
            {
              l: cases.map(([[l]]) => l),
              u: cases.map(([[, u]]) => u),
              above: cases.map(([, share]) => share),
              below: cases.map(([, share]) => 1 - share),
            },
          );
          for (let i = 0; i < 6; i++)
            made[`moved ${i}`]?.forEach((value, k) => {
              const expected = made[`fixed ${i}`]?.[k] as number;
              if (i < 4) expect(value + 0).toBe(expected + 0);
              else expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-5 * (1 + Math.abs(expected)));
            });
        },
      ),
      { numRuns: 10 },
    );
  });

  it('are differentiable through the ends of the interval', () => {
    const pairs = [
      [-3, -1],
      [0.5, 2],
      [-1, 0.2],
      [-0.2, 1],
      [-2, 2.5],
      [-0.4, 5],
      [-7, 1],
      [-30, 40],
      [1, 1.5],
    ];
    const feeds = { l: pairs.map(([l]) => l as number), u: pairs.map(([, u]) => u as number) };
    const bounds = boundsOf(pairs.length, 'float64');
    const loss = Object.values(linesOf(name, bounds))
      .map((value, k) => mul(weighted(value), 1 + 0.3 * k))
      .reduce((a, b) => add(a, b));
    expectDerivatives(loss, [bounds.lower, bounds.upper], feeds, 1e-6);
  });

  it('have finite derivatives on degenerate intervals', async () => {
    const pairs = [
      [0, 0],
      [1e-30, 1e-30],
      [-1e-9, 1e-9],
      [3, 3],
      [-60, -60],
      [-1e6, 1e6],
      [0, 1],
      [-1, 0],
    ];
    for (const dtype of ['float32', 'float64'] as const) {
      const bounds = boundsOf(pairs.length, dtype);
      const sum = Object.values(linesOf(name, bounds))
        .map(total)
        .reduce((a, b) => add(a, b));
      const [dl, du] = gradient(sum, [bounds.lower, bounds.upper]) as [Tensor, Tensor];
      const made = await runProgram(
        { dl, du },
        { l: pairs.map(([v]) => v as number), u: pairs.map(([, v]) => v as number) },
      );
      for (const value of [...(made.dl ?? []), ...(made.du ?? [])]) expect(Math.abs(value)).toBeLessThan(100);
    }
  });

  it('its derivatives are those of its values', () => {
    const x = input('x', [40], 'float64');
    const feeds = { x: Array.from({ length: 40 }, (_, k) => (k - 19.3) / 2) };
    const { value, derivative, secondDerivative } = activationFunctions[name];
    const [first] = gradient(total(value(x)), [x]) as [Tensor];
    const [second] = gradient(total(derivative(x)), [x]) as [Tensor];
    const [a, b, c, d] = evaluate([first, derivative(x), second, secondDerivative(x)], feeds) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    a.forEach((v, i) => {
      expect(Math.abs(v - (b[i] as number))).toBeLessThan(1e-14);
      expect(Math.abs((c[i] as number) - (d[i] as number))).toBeLessThan(1e-14);
    });
  });
});
