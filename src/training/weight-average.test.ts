import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { averagedWith, representative, type WeightAverage } from './weight-average.js';

const points = fc.integer({ min: 1, max: 5 }).chain((size) =>
  fc.array(fc.array(fc.float({ min: -10, max: 10, noNaN: true }), { minLength: size, maxLength: size }), {
    minLength: 1,
    maxLength: 300,
  }),
);

describe('the average of weights', () => {
  it('is the mean of the points given to it, and stands for the state once there is one', () => {
    fc.assert(
      fc.property(points, (thetas) => {
        const states = thetas.map((theta) => Float32Array.from(theta));
        const last = states.at(-1) as Float32Array;
        const average = states.reduce<WeightAverage | undefined>(averagedWith, undefined) as WeightAverage;
        expect(average.count).toBe(states.length);
        last.forEach((_, i) => {
          const mean = states.reduce((sum, theta) => sum + (theta[i] as number), 0) / states.length;
          expect(average.theta[i]).toBeCloseTo(mean, 9);
          expect(representative({ theta: last, average })[i]).toBe(Math.fround(average.theta[i] as number));
        });
        expect(representative({ theta: last })).toBe(last);
      }),
      { numRuns: 30 },
    );
  });

  it('refuses other parameters', () => {
    expect(() => averagedWith({ count: 1, theta: new Float64Array(2) }, new Float32Array(3))).toThrow(
      'expected 2 parameters, got 3',
    );
  });
});
