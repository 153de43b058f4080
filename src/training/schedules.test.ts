import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { constant, cosine, linear, type Schedule, type Span, smoothWarmup, stepDecay } from './schedules.js';

const number = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const spans = fc
  .record({ start: number(0, 20), width: number(1, 200), from: number(0, 1), to: number(0, 1) })
  .map(({ start, width, from, to }): Span => ({ start, end: start + width, from, to }));
const between = fc.oneof(number(0, 1), fc.constantFrom(0, 0.25, 1));
const schedules: [string, (span: Span) => Schedule, number][] = [
  ['linear', linear, 1],
  ['cosine', cosine, Math.PI / 2],
  ['smoothWarmup', smoothWarmup, 16 / 13],
];

describe.each(schedules)('%s', (_, make, steepest) => {
  it('starts and ends exactly at its values, and stays there', () => {
    fc.assert(
      fc.property(spans, number(0, 100), (span, beyond) => {
        expect(make(span)(span.start - beyond)).toBe(span.from);
        expect(make(span)(span.end + beyond)).toBe(span.to);
      }),
    );
  });

  it('moves one way only, continuously, never faster than its steepest slope', () => {
    fc.assert(
      fc.property(spans, between, between, (span, a, b) => {
        const [early, late] = [Math.min(a, b), Math.max(a, b)].map((t) =>
          make(span)(span.start + t * (span.end - span.start)),
        ) as [number, number];
        const towards = (late - early) * Math.sign(span.to - span.from);
        expect(towards).toBeGreaterThanOrEqual(-1e-12);
        expect(towards).toBeLessThanOrEqual(
          steepest * Math.abs(b - a) * Math.abs(span.to - span.from) + 1e-9,
        );
      }),
    );
  });

  it('refuses a span that ends before it starts or is not finite', () => {
    expect(() => make({ start: 3, end: 2, from: 0, to: 1 })).toThrow(
      /expected a span that ends after it starts, got epochs 3 to 2/,
    );
    expect(() => make({ start: 0, end: 2, from: 0, to: Number.NaN })).toThrow(
      /expected a finite to, got NaN/,
    );
  });
});

describe('smoothWarmup', () => {
  const s = smoothWarmup({ start: 0, end: 1, from: 0, to: 1 });

  it('grows as t⁴ over the first quarter and linearly after, with continuous slope', () => {
    fc.assert(
      fc.property(number(0.01, 0.25), number(1.01, 2), (t, ratio) => {
        if (t * ratio <= 0.25) expect(s(t * ratio) / s(t)).toBeCloseTo(ratio ** 4, 9);
      }),
    );
    const slope = (t: number) => (s(t + 1e-6) - s(t - 1e-6)) / 2e-6;
    fc.assert(
      fc.property(number(0.26, 0.99), (t) => {
        expect(slope(t)).toBeCloseTo(16 / 13, 6);
      }),
    );
    expect(s(0.25)).toBeCloseTo(1 / 13, 15);
    expect(s(0.25 + 1e-9) - s(0.25)).toBeCloseTo((16 / 13) * 1e-9, 12);
    expect((s(0.25) - s(0.25 - 1e-6)) / 1e-6).toBeCloseTo(16 / 13, 4);
    expect(slope(2e-6)).toBeLessThan(1e-9);
  });

  it('gives the CIFAR-10 setting: ε from 0 at epoch 1 to exactly 2/255 at epoch 81, halfway 5/13 of it', () => {
    const epsilon = smoothWarmup({ start: 1, end: 81, from: 0, to: 2 / 255 });
    expect([0, 1, 41, 81, 160].map(epsilon)).toEqual([
      0,
      0,
      expect.closeTo((2 / 255) * (5 / 13), 15),
      2 / 255,
      2 / 255,
    ]);
  });
});

describe('stepDecay', () => {
  it('multiplies the rate at each of its epochs: MNIST’s 5e-4, × 0.2 after 50 and 60', () => {
    const rate = stepDecay(5e-4, { at: [50, 60] });
    expect([0, 49.99, 50, 59.99, 60, 70].map(rate)).toEqual(
      [5e-4, 5e-4, 1e-4, 1e-4, 2e-5, 2e-5].map((r) => expect.closeTo(r, 12)),
    );
  });
});

describe('constant', () => {
  it('does not depend on the epoch', () => {
    fc.assert(
      fc.property(number(-10, 10), number(-1, 1000), (value, epoch) => {
        expect(constant(value)(epoch)).toBe(value);
      }),
    );
  });
});
