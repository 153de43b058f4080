import fc from 'fast-check';
import { expect, test } from 'vitest';
import { violation } from './property.js';
import { ballAround, overtakingPolytopes, robustnessProperty } from './robustness.js';

const image = fc.float32Array({ minLength: 3, maxLength: 3, min: 0, max: 1, noNaN: true });

test('a ball has ε on both sides of each pixel, cut to [0, 1] where it is clipped', () => {
  fc.assert(
    fc.property(image, fc.double({ min: 0, max: 0.6, noNaN: true }), fc.boolean(), (x, epsilon, clip) => {
      const { lower, upper } = ballAround(x, { epsilon, clip });
      x.forEach((v, i) => {
        expect(lower[i]).toBe(clip ? Math.max(0, v - epsilon) : v - epsilon);
        expect(upper[i]).toBe(clip ? Math.min(1, v + epsilon) : v + epsilon);
      });
    }),
  );
  // Pixels beyond [0, 1] are cut as well.
  const cut = ballAround(Float32Array.of(-0.5, 1.5), { epsilon: 0.25, clip: true });
  expect([Array.from(cut.lower), Array.from(cut.upper)]).toEqual([
    [0, 1],
    [0, 1],
  ]);
});

test('outputs are unsafe exactly where another class is as large as the label', () => {
  const outputs = fc.array(fc.integer({ min: -2, max: 2 }), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(image, fc.nat(3), outputs, (x, label, y) => {
      const property = robustnessProperty(x, label, { epsilon: 0.1, clip: true }, 4);
      expect([property.inputs, property.outputs]).toEqual([3, 4]);
      expect(property.polytopes.every(({ box }) => box === property.polytopes[0]?.box)).toBe(true);
      const overtaken = property.polytopes.some((polytope) => violation(polytope, x, y) <= 0);
      expect(overtaken).toBe(y.some((v, j) => j !== label && v >= (y[label] as number)));
    }),
  );
  const box = { lower: Float64Array.of(0), upper: Float64Array.of(1) };
  expect(overtakingPolytopes(box, 1, 3).map(({ unsafe }) => Array.from(unsafe[0]?.outputs ?? []))).toEqual([
    [-1, 1, 0],
    [0, 1, -1],
  ]);
});
