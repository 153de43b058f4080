import { describe, expect, it } from 'vitest';
import { constant, evaluate, gradient, input, mul, total } from '../graph/index.js';
import { gradientLink } from './gradient-link.js';

const ends = (rows: number) => ({
  lower: input('lower', [rows, 1], 'float64'),
  upper: input('upper', [rows, 1], 'float64'),
});

describe('the gradient link', () => {
  it('is rectified as published: on [1, 5] with c = 0.5 it falls from each end to zero at the middle', () => {
    // One row for each place in the box: both ends, a quarter from each, and the middle. Weights tell the
    // rows apart.
    const places = [1, 2, 3, 4, 5];
    const box = ends(places.length);
    const z = constant(places, [5, 1], 'float64');
    const weights = [1, 10, 100, 1000, 10000];
    const loss = total(mul(gradientLink(z, box), constant(weights, [5, 1], 'float64')));
    const feeds = { lower: places.map(() => 1), upper: places.map(() => 5) };
    const [value, lower, upper] = evaluate(
      [loss, ...gradient(loss, [box.lower, box.upper])],
      feeds,
    ) as Float64Array[];
    expect(value?.[0]).toBe(54321);
    expect([...(lower as Float64Array)]).toEqual([1, 10 * 0.5, 0, 0, 0]);
    expect([...(upper as Float64Array)]).toEqual([0, 0, 0, 1000 * 0.5, 10000]);
  });

  it('connects only near ends the smaller c is, and sums over the points that share a box', () => {
    const box = ends(1);
    const z = constant([1, 1.5, 4.5, 5], [1, 4], 'float64');
    const feeds = { lower: [1], upper: [5] };
    for (const [c, expected] of [
      [0.125, 1],
      [0.25, 1.5],
    ] as const) {
      const loss = total(gradientLink(z, box, c));
      const [lower, upper] = evaluate(gradient(loss, [box.lower, box.upper]), feeds) as Float64Array[];
      expect([lower?.[0], upper?.[0]]).toEqual([expected, expected]);
    }
  });

  it('with c = 1 is the derivative of a point that keeps its place', () => {
    const box = ends(3);
    const places = [0.1, 0.6, 1];
    const feeds = { lower: [-1, 0.5, 2], upper: [1, 4.5, 2.5] };
    const at = places.map(
      (t, i) => (feeds.lower[i] as number) + t * ((feeds.upper[i] as number) - (feeds.lower[i] as number)),
    );
    const linked = total(
      mul(gradientLink(constant(at, [3, 1], 'float64'), box, 1), constant([1, 2, 3], [3, 1], 'float64')),
    );
    const [lower, upper] = evaluate(gradient(linked, [box.lower, box.upper]), feeds) as Float64Array[];
    places.forEach((t, i) => {
      expect(lower?.[i]).toBeCloseTo((i + 1) * (1 - t), 12);
      expect(upper?.[i]).toBeCloseTo((i + 1) * t, 12);
    });
  });

  it('shares the gradient of a box without width between its ends', () => {
    const box = ends(1);
    const linked = total(gradientLink(constant([2], [1, 1], 'float64'), box));
    const [lower, upper] = evaluate(gradient(linked, [box.lower, box.upper]), {
      lower: [2],
      upper: [2],
    }) as Float64Array[];
    expect([lower?.[0], upper?.[0]]).toEqual([0.5, 0.5]);
  });

  it('refuses a reach outside (0, 1]', () => {
    expect(() => gradientLink(constant([2], [1, 1], 'float64'), ends(1), 0)).toThrow(
      'gradient link: expected c in (0, 1], got 0',
    );
  });
});
