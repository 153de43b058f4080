import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { constant, evaluate, type Tensor } from '../../graph/index.js';
import { scaleLayer } from './scale.js';

const FEATURES = 6;
const layer = scaleLayer([2, 3, 1]);
const vector = fc.array(fc.double({ min: -4, max: 4, noNaN: true }), {
  minLength: FEATURES,
  maxLength: FEATURES,
});
const column = (values: readonly number[]) => constant(values, [FEATURES, 1], 'float64');
const flat = (values: readonly number[]) => constant(values, [FEATURES], 'float64');
const value = (t: Tensor) => Array.from((evaluate([t], {})[0] as Float64Array).map((v) => v + 0));
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((s, v, i) => s + v * (b[i] as number), 0);

describe('an element-wise scale', () => {
  it('is w∘x + b, the sum of its linear part and its bias', () => {
    fc.assert(
      fc.property(vector, vector, vector, (w, b, x) => {
        const weights = { weight: flat(w), bias: flat(b) };
        const expected = x.map((v, i) => (w[i] as number) * v + (b[i] as number));
        expect(value(layer.apply(weights, column(x)))).toEqual(expected.map((v) => v + 0));
        const linear = value(layer.linear(weights, column(x)));
        const bias = value(layer.bias(weights, 'float64') as Tensor);
        expect(linear.map((v, i) => v + (bias[i] as number) + 0)).toEqual(expected.map((v) => v + 0));
      }),
    );
  });

  it('has an adjoint: ⟨a, L x⟩ = ⟨Lᵀ a, x⟩', () => {
    fc.assert(
      fc.property(vector, vector, vector, (w, a, x) => {
        const weights = { weight: flat(w) };
        expect(dot(a, value(layer.linear(weights, column(x))))).toBeCloseTo(
          dot(value(layer.adjoint(weights, column(a))), x),
          8,
        );
      }),
    );
  });

  it('has magnitudes that bound every |L x| with |x| ≤ r, for either sign of w', () => {
    fc.assert(
      fc.property(vector, vector, (w, x) => {
        const weights = { weight: flat(w) };
        const radius = value(layer.linear(layer.absolute(weights), column(x.map(Math.abs))));
        const reached = value(layer.linear(weights, column(x))).map(Math.abs);
        expect(reached.every((v, i) => v <= (radius[i] as number))).toBe(true);
      }),
    );
  });
});
