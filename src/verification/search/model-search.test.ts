import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Polytope } from '../property/property.js';
import { modelSearch } from './model-search.js';

/** −1 ≤ x_i ≤ 1, and y_0 ≤ bound as what is unsafe. */
const below = (inputs: number, bound: number): Polytope => ({
  box: { lower: new Float64Array(inputs).fill(-1), upper: new Float64Array(inputs).fill(1) },
  unsafe: [{ outputs: Float64Array.of(1), bound }],
});
const soon = () => performance.now() + 20_000;

test('corners of a function whose signs change everywhere are found, and confirmed by its own values', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }), async (signs) => {
      const evaluate = async (x: Float32Array) =>
        Float64Array.of(x.reduce((sum, v, i) => sum + (signs[i] ? v : -v) ** 3, 0));
      const polytopes = [below(signs.length, -signs.length - 1), below(signs.length, -signs.length)];
      const found = await modelSearch({ evaluate }, polytopes, soon());
      expect(found?.polytope).toBe(1);
      expect(found?.output).toEqual(await evaluate(Float32Array.from(found?.input ?? [])));
    }),
    { numRuns: 20 },
  );
}, 60_000);

test('what is out of reach is not found, within so many evaluations', async () => {
  let evaluations = 0;
  const evaluate = async (x: Float32Array) => {
    evaluations++;
    return Float64Array.of(Math.hypot(...x));
  };
  expect(await modelSearch({ evaluate }, [below(3, -0.1)], soon())).toBeUndefined();
  expect(evaluations).toBe(20_000);
});

test('the same seed finds the same input', async () => {
  const evaluate = async (x: Float32Array) =>
    Float64Array.of(Math.sin(7 * (x[0] as number)) + (x[1] as number));
  const run = () => modelSearch({ evaluate, seed: 3 }, [below(2, -1.9)], soon());
  expect(await run()).toEqual(await run());
});

test('an abort ends it', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  const evaluate = async () => Float64Array.of(1);
  await expect(modelSearch({ evaluate, signal }, [below(1, 0)], soon())).rejects.toThrow('enough');
});
