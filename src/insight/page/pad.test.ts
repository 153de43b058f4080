import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digitOf, type Place, type Stroke } from './pad.js';

const place = fc.record({
  x: fc.double({ min: 0, max: 280, noNaN: true }),
  y: fc.double({ min: 0, max: 280, noNaN: true }),
});
const strokes = fc.array(fc.array(place, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 });
const pixelsOf = (drawn: readonly Stroke[]) => digitOf(drawn) as Uint8Array;
const moved = (drawn: readonly Stroke[], by: (at: Place) => Place) => drawn.map((stroke) => stroke.map(by));

/** Centre of mass, in pixels from the upper left corner. */
function centreOf(pixels: Uint8Array): Place {
  const mass = pixels.reduce((sum, level) => sum + level, 0);
  const mean = (of: (i: number) => number) =>
    pixels.reduce((sum, level, i) => sum + level * (of(i) + 0.5), 0) / mass;
  return { x: mean((i) => i % 28), y: mean((i) => Math.floor(i / 28)) };
}

describe('a drawn digit', () => {
  test('has its centre of mass in the middle, as MNIST has it', () => {
    fc.assert(
      fc.property(strokes, (drawn) => {
        const { x, y } = centreOf(pixelsOf(drawn));
        expect(Math.hypot(x - 14, y - 14)).toBeLessThan(0.75);
      }),
    );
  });

  test('is the same wherever and however large it is drawn, to rounding', () => {
    fc.assert(
      fc.property(strokes, place, fc.constantFrom(0.5, 1, 2), (drawn, by, scale) => {
        const all = drawn.flat();
        const extent = Math.max(
          ...['x', 'y'].map((axis) => {
            const values = all.map((at) => at[axis as 'x' | 'y']);
            return Math.max(...values) - Math.min(...values);
          }),
        );
        fc.pre(extent === 0 || extent > 1);
        const other = pixelsOf(moved(drawn, ({ x, y }) => ({ x: scale * x + by.x, y: scale * y + by.y })));
        pixelsOf(drawn).forEach((level, i) => {
          expect(Math.abs(level - (other[i] as number))).toBeLessThanOrEqual(1);
        });
      }),
    );
  });

  test('fills 20 pixels the long way; an upright line is two to three pixels wide', () => {
    const one = pixelsOf([
      [
        { x: 100, y: 20 },
        { x: 100, y: 260 },
      ],
    ]);
    const rows = Array.from({ length: 28 }, (_, y) => one.subarray(28 * y, 28 * y + 28));
    expect(rows.filter((row) => row.some((level) => level > 127))).toHaveLength(20);
    const lit = (rows[14] as Uint8Array).reduce((sum, level) => sum + level / 255, 0);
    expect(lit).toBeGreaterThan(2);
    expect(lit).toBeLessThan(3);
  });

  test('of nothing is none; of one place is a dot', () => {
    expect(digitOf([])).toBeUndefined();
    const dot = pixelsOf([[{ x: 3, y: 3 }]]);
    expect(dot.filter((level) => level > 0).length).toBeGreaterThan(3);
    expect(dot.filter((level) => level > 0).length).toBeLessThan(20);
  });
});
