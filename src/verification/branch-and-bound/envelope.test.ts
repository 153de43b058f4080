import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalNumbers, pointsOf, uniformNumbers } from '../../testing/numbers.js';
import { addLine, boxRelu, Envelope } from './envelope.js';

const ROUNDING = 1e-9;

interface Case {
  readonly box: { readonly lower: Float64Array; readonly upper: Float64Array };
  readonly weights: readonly Float64Array[];
  readonly biases: Float64Array;
  readonly coefficients: readonly number[];
}

/** ReLUs of some inputs, of which the first may be one number, and a row over them. */
function caseOf(seed: number, inputs: number, relus: number, fixed = false): Case {
  const lower = normalNumbers(`lower ${seed}`, inputs);
  const upper = uniformNumbers(`width ${seed}`, inputs).map((d, i) =>
    fixed && i === 0 ? (lower[i] as number) : (lower[i] as number) + 0.1 + d,
  );
  const weights = Array.from({ length: relus }, (_, k) => normalNumbers(`w ${seed} ${k}`, inputs));
  const offsets = normalNumbers(`b ${seed}`, relus);
  const biases = offsets.map((b, k) => {
    const centre = lower.map((l, i) => (l + (upper[i] as number)) / 2);
    return 0.5 * b - dot(weights[k] as Float64Array, centre);
  });
  return { box: { lower, upper }, weights, biases, coefficients: [...normalNumbers(`c ${seed}`, relus)] };
}

const dot = (a: ArrayLike<number>, x: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, i) => sum + value * (x[i] as number), 0);

const reluAt = ({ weights, biases }: Case, k: number, x: Float64Array): number =>
  Math.max(0, dot(weights[k] as Float64Array, x) + (biases[k] as number));

const valueAt = (of: Case, x: Float64Array): number =>
  of.coefficients.reduce((sum, c, k) => sum + c * reluAt(of, k, x), 0);

const envelopeOf = ({ box, weights, biases }: Case): Envelope =>
  new Envelope(
    box,
    weights.map((w, k) => boxRelu(w, biases[k] as number, box)),
  );

const rowOf = ({ coefficients }: Case, base = 0) => ({ index: [...coefficients.keys()], coefficients, base });

const someCase = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 6 }));

describe('the upper line of a ReLU', () => {
  it('lies above it in all of the box, whatever m', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 5 }), fc.boolean(), (seed, inputs, fixed) => {
        const of = caseOf(seed, inputs, 1, fixed);
        const relu = boxRelu(of.weights[0] as Float64Array, of.biases[0] as number, of.box);
        if (!(relu.lower < 0 && relu.upper > 0)) return;
        const share = uniformNumbers(`m ${seed}`, relu.index.length);
        const slope = new Float64Array(inputs);
        const constant = addLine({ relu, coefficient: -2, above: true, share }, slope);
        for (const x of pointsOf(of.box, seed, 40))
          expect(dot(slope, x) + constant).toBeLessThanOrEqual(-2 * reluAt(of, 0, x) + ROUNDING);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the bound of a row over the ReLUs of a box', () => {
  it('lies below the row in all of the box, after however many steps', () => {
    fc.assert(
      fc.property(someCase, fc.constantFrom(0, 1, 7, 40), fc.boolean(), (sizes, steps, fixed) => {
        const of = caseOf(...sizes, fixed);
        const least = envelopeOf(of).least(rowOf(of, 0.3), steps);
        for (const x of pointsOf(of.box, sizes[0], 40))
          expect(least).toBeLessThanOrEqual(0.3 + valueAt(of, x) + ROUNDING);
      }),
      { numRuns: 200 },
    );
  });

  it('leaves a third of what the bound of triangles lacks of the least value, and never falls below', () => {
    let [triangles, envelopes] = [0, 0];
    for (let seed = 0; seed < 60; seed++) {
      const of = caseOf(seed, 5, 6);
      const least = Math.min(...pointsOf(of.box, seed, 40).map((x) => valueAt(of, x)));
      const [before, after] = [0, 60].map((steps) => envelopeOf(of).least(rowOf(of), steps));
      expect(after).toBeGreaterThanOrEqual(before as number);
      triangles += least - (before as number);
      envelopes += least - (after as number);
    }
    expect(envelopes).toBeLessThan(triangles / 3);
  });

  it('is exact for one ReLU', () => {
    for (const [seed, sign] of [1, 2, 3, 4].flatMap((s) => [[s, 1] as const, [s, -1] as const])) {
      const of = { ...caseOf(seed, 4, 1), coefficients: [sign] };
      const least = Math.min(...pointsOf(of.box, seed, 40).map((x) => valueAt(of, x)));
      expect(envelopeOf(of).least(rowOf(of), 100)).toBeCloseTo(least, 3);
    }
  });
});
