import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SigmaDecay, sigmaDecaySchema, sigmaFactor } from './sigma-schedule.js';

const unit = fc.double({ min: 0, max: 1, noNaN: true });
const decays = fc
  .record({
    shape: fc.constantFrom('constant', 'linear', 'exponential', 'cosine'),
    a: unit,
    b: unit,
    final: fc.double({ min: 0.001, max: 1, noNaN: true }),
  })
  .map(({ shape, a, b, final }) =>
    sigmaDecaySchema.parse({
      shape: shape as SigmaDecay['shape'],
      from: Math.min(a, b),
      until: Math.max(a, b),
      final,
    }),
  );

describe('σ decay', () => {
  it('is 1 up to its start, its final factor from its end, and never rises', () => {
    fc.assert(
      fc.property(decays, unit, unit, (decay, p, q) => {
        expect(sigmaFactor(decay, decay.from * 0.999 - 1e-6)).toBe(1);
        expect(sigmaFactor(decay, decay.until)).toBe(decay.final);
        expect(sigmaFactor(decay, Math.max(p, q))).toBeLessThanOrEqual(
          sigmaFactor(decay, Math.min(p, q)) + 1e-12,
        );
      }),
    );
  });

  it('is halfway where the formulas say', () => {
    const half = (shape: SigmaDecay['shape']) =>
      sigmaFactor(sigmaDecaySchema.parse({ shape, from: 0.2, until: 0.6, final: 0.25 }), 0.3);
    expect(half('constant')).toBe(1);
    expect(half('linear')).toBeCloseTo(1 - 0.75 / 4, 12);
    expect(half('exponential')).toBeCloseTo(0.25 ** 0.25, 12);
    expect(half('cosine')).toBeCloseTo(0.25 + 0.375 * (1 + Math.SQRT1_2), 12);
  });

  it('reads a bare shape, ends at zero unless told, and says what is wrong', () => {
    expect(sigmaDecaySchema.parse('linear')).toEqual({ shape: 'linear', from: 0, until: 1, final: 0 });
    expect(sigmaDecaySchema.parse('exponential').final).toBeGreaterThan(0);
    expect(() => sigmaDecaySchema.parse({ shape: 'exponential', final: 0 })).toThrow(
      /expected final above 0 for exponential decay/,
    );
    expect(() => sigmaDecaySchema.parse({ shape: 'linear', from: 0.5, until: 0.4 })).toThrow(
      /expected from ≤ until/,
    );
  });
});
