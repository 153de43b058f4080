import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Polytope } from '../property/property.js';
import { modelAttack } from './model-attack.js';

const LATE = Number.POSITIVE_INFINITY;
const below = (bound: number, lower: readonly number[], upper: readonly number[]): Polytope => ({
  box: { lower: Float64Array.from(lower), upper: Float64Array.from(upper) },
  unsafe: [{ outputs: Float64Array.of(1), bound }],
});

describe('an attack on the values of the model', () => {
  test('finds what lies near the minimum of a bowl anywhere in the box, and nothing below it', async () => {
    const place = fc.double({ min: -1, max: 1, noNaN: true });
    await fc.assert(
      fc.asyncProperty(place, place, async (a, b) => {
        const evaluate = async (x: Float32Array) => [((x[0] ?? 0) - a) ** 2 + ((x[1] ?? 0) - b) ** 2];
        const boxed = (bound: number) => [below(bound, [-1, -1], [1, 1])];
        const found = await modelAttack({ evaluate }, boxed(1e-4), LATE);
        expect(found?.output[0]).toBeLessThanOrEqual(1e-4);
        expect(found?.input.every((v) => Math.abs(v) <= 1)).toBe(true);
        expect(await modelAttack({ evaluate }, boxed(-1e-9), LATE)).toBeUndefined();
      }),
      { numRuns: 30 },
    );
  });

  test('names the polytope, and asks the model a few hundred times for each', async () => {
    let calls = 0;
    const evaluate = async (x: Float32Array) => {
      calls++;
      return [x[0] ?? 0];
    };
    const polytopes = [below(-2, [-1], [1]), below(-0.9, [-1], [1])];
    expect(await modelAttack({ evaluate }, polytopes, LATE)).toMatchObject({ polytope: 1 });
    expect(calls).toBeLessThan(810);
  });

  test('leaves boxes of many inputs alone, stops at the deadline and when it is told to', async () => {
    const evaluate = async () => [-1];
    const many = below(0, Array(9).fill(0), Array(9).fill(1));
    expect(await modelAttack({ evaluate }, [many], LATE)).toBeUndefined();
    expect(await modelAttack({ evaluate }, [below(0, [0], [1])], 0)).toBeUndefined();
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(modelAttack({ evaluate, signal }, [below(0, [0], [1])], LATE)).rejects.toThrow('stopped');
  });
});
