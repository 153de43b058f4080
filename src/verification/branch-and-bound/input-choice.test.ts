import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Box } from '../property/property.js';
import { inputToHalve, type RowBound, raiseScores, sharesOfWidth } from './input-choice.js';

const NARROW = 2 ** -22;
const unit = (inputs: number): Box => ({
  lower: new Float64Array(inputs),
  upper: new Float64Array(inputs).fill(1),
});
const width = ({ lower, upper }: Box, i: number) => (upper[i] as number) - (lower[i] as number);

/** The input that is halved of a part, where a row has these slopes and this gap above its linear bound. */
function choice(part: Box, whole: Box, slopes: readonly number[], gap: number): number {
  const influence = (i: number) => Math.abs(slopes[i] as number) * width(part, i);
  const change = slopes.reduce((sum, _, i) => sum + influence(i) / 2, 0);
  const row: RowBound = { margin: 0, atCentre: change + gap, influence };
  const scores = new Float64Array(slopes.length);
  raiseScores(scores, sharesOfWidth(part, whole), row);
  return inputToHalve(part, scores, NARROW);
}

const slope = fc.double({ min: 0.01, max: 10, noNaN: true });

describe('the input that is halved next', () => {
  it('is the one that moves an exact linear bound most', () => {
    fc.assert(
      fc.property(fc.array(slope, { minLength: 2, maxLength: 8 }), (slopes) => {
        const part = unit(slopes.length);
        expect(slopes[choice(part, part, slopes, 0)]).toBe(Math.max(...slopes));
      }),
    );
  });

  it('is every input in turn while bounds are loose, also those without any slope', () => {
    fc.assert(
      fc.property(fc.array(slope, { minLength: 1, maxLength: 4 }), fc.nat(3), (slopes, flat) => {
        const all = [...slopes, ...Array.from({ length: 1 + flat }, () => 0)];
        const whole = unit(all.length);
        const upper = whole.upper.slice();
        for (let step = 0; step < 200; step++) {
          const i = choice({ lower: whole.lower, upper }, whole, all, 10);
          upper[i] = (upper[i] as number) / 2;
        }
        for (const end of upper) expect(end).toBeLessThan(1);
      }),
    );
  });

  it('has a share of the gap by its width beside the whole box, in whatever unit it is', () => {
    const whole = { lower: Float64Array.of(0, -1e4, 3), upper: Float64Array.of(1, 1e4, 3) };
    const part = { lower: Float64Array.of(0, -1e4, 3), upper: Float64Array.of(1, 0, 3) };
    expect([...sharesOfWidth(part, whole)]).toEqual([2 / 3, 1 / 3, 0]);
    expect(choice(part, whole, [0, 0, 0], 1)).toBe(0);
  });

  it('is none where no input is wide enough, and one that varies where nothing is known', () => {
    const point = { lower: Float64Array.of(1, 2), upper: Float64Array.of(1, 2) };
    expect(choice(point, point, [1, 1], 1)).toBe(-1);
    const half = { lower: Float64Array.of(1, 2), upper: Float64Array.of(1, 3) };
    for (const gap of [Number.NaN, Number.POSITIVE_INFINITY, -1])
      expect(choice(half, half, [0, 0], gap)).toBe(1);
  });
});
